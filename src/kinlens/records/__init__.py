"""What the data are, once read: checked values without any knowledge of files."""
