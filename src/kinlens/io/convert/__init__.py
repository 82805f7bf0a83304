"""Published layouts to dataset folders, one file each; `catalogue` lists them."""
