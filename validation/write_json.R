# One way to write golden values: full precision, vectors of one as numbers, matrices row by row.
write_golden <- function(values, file) {
  values$made_by <- c(list(R = as.character(getRversion())), lapply(
    setNames(nm = values$packages), function(name) as.character(packageVersion(name))
  ))
  values$packages <- NULL
  writeLines(jsonlite::toJSON(values, digits = NA, auto_unbox = TRUE, matrix = "rowmajor"), file)
}

# A tree as parent, length and name of each node; the root has parent -1.
tree_arrays <- function(tree) {
  n_nodes <- length(tree$tip.label) + tree$Nnode
  parent <- rep(-1L, n_nodes)
  length <- rep(0, n_nodes)
  parent[tree$edge[, 2]] <- tree$edge[, 1] - 1L
  length[tree$edge[, 2]] <- tree$edge.length
  list(parent = parent, length = length, names = c(tree$tip.label, rep("", tree$Nnode)))
}
