# Distances, shared paths, neighbour joining and topological distance by R's ape, for tests/golden.
#
#   Rscript validation/ape_distances.R tests/golden/ape_distances.json
#
# ape is in Debian as r-cran-ape. The trees are written into the file beside their numbers, so that
# the tests need neither R nor this script.

suppressPackageStartupMessages(library(ape))

number <- function(x) sprintf("%.17g", x)
string <- function(x) paste0("\"", x, "\"")
list_of <- function(parts) paste0("[", paste(parts, collapse = ", "), "]")
matrix_of <- function(m) list_of(apply(m, 1, function(row) list_of(number(row))))
object <- function(...) {
  fields <- list(...)
  paste0("{", paste0(string(names(fields)), ": ", unlist(fields), collapse = ",\n   "), "}")
}

set.seed(1972)
random <- rtree(20)
zeros <- rtree(15)
zeros$edge.length[c(3, 8, 12)] <- 0
polytomies <- di2multi(zeros, tol = 1e-8)
trees <- list(
  by_hand = read.tree(text = "((a:1,b:2,c:0):3,(d:4,e:5):0,f:6);"),
  clock = rcoal(12),
  random = random,
  zeros = zeros,
  polytomies = polytomies
)

described <- function(tree) {
  tips <- tree$tip.label
  kept <- tips[seq(1, length(tips), by = 2)]
  pruned <- keep.tip(tree, kept)
  object(
    newick = string(write.tree(tree, digits = 17)),
    tips = list_of(string(tips)),
    cophenetic = matrix_of(cophenetic(tree)[tips, tips]),
    vcv = matrix_of(vcv(tree)[tips, tips]),
    kept = list_of(string(kept)),
    pruned_vcv = matrix_of(vcv(pruned)[kept, kept])
  )
}

n <- 12
noise <- matrix(0, n, n)
noise[upper.tri(noise)] <- runif(n * (n - 1) / 2, 0, 0.05)
noisy <- cophenetic(trees$clock) + noise + t(noise)
joined <- nj(noisy)
names_joined <- rownames(noisy)

moved <- random
moved$tip.label[c(1, 5, 9, 13)] <- random$tip.label[c(5, 9, 13, 1)]

body <- c(
  sapply(trees, described),
  neighbour_joining = object(
    tips = list_of(string(names_joined)),
    distances = matrix_of(noisy),
    cophenetic = matrix_of(cophenetic(joined)[names_joined, names_joined])
  ),
  topology = object(
    first = string(write.tree(random, digits = 17)),
    second = string(write.tree(moved, digits = 17)),
    # dist.topo compares unrooted trees by their splits (Penny and Hendy 1985).
    robinson_foulds = number(dist.topo(unroot(random), unroot(moved), method = "PH85"))
  ),
  made_by = object(
    R = string(paste(R.version$major, R.version$minor, sep = ".")),
    ape = string(as.character(packageVersion("ape")))
  )
)

target <- commandArgs(trailingOnly = TRUE)[1]
writeLines(
  paste0("{", paste0(string(names(body)), ": ", body, collapse = ",\n "), "}"),
  target
)
