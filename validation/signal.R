# Phylogenetic signal and contrasts by R's ape and phytools, on trees and traits simulated here; one
# tree is ultrametric and one is not.
#
#   Rscript validation/signal.R tests/golden/signal.json
target <- commandArgs(trailingOnly = TRUE)[1]
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
source(file.path(here, "write_json.R"))
suppressPackageStartupMessages({
  library(ape)
  library(phytools)
})

set.seed(20240301)
permutations <- 4999

lambda_of <- function(tree, trait) {
  fit <- phylosig(tree, trait, method = "lambda", test = TRUE)
  # phylosig stops at four digits; its own likelihood, maximised to the last one.
  sharp <- optimize(fit$lik, c(0, phytools:::maxLambda(tree)), maximum = TRUE, tol = 1e-12)
  at <- c(0, 0.25, 0.5, 0.75, 1)
  list(
    value = sharp$maximum, log_likelihood = sharp$objective, log_likelihood_zero = fit$logL0,
    p_value = pchisq(2 * (sharp$objective - fit$logL0), 1, lower.tail = FALSE),
    at = at, log_likelihood_at = sapply(at, fit$lik), upper_bound = phytools:::maxLambda(tree)
  )
}

signal_of <- function(tree, trait) {
  k <- phylosig(tree, trait, method = "K", test = TRUE, nsim = permutations + 1)
  list(
    values = unname(trait),
    k = list(statistic = k$K, p_value = k$P),
    lambda = lambda_of(tree, trait),
    contrasts = unname(pic(trait, tree))
  )
}

world_of <- function(tree) {
  brownian <- fastBM(tree)
  weak <- fastBM(phytools:::lambdaTree(tree, 0.4))
  noise <- setNames(rnorm(Ntip(tree)), tree$tip.label)
  joint <- cbind(brownian, 0.5 * brownian + weak, noise)[tree$tip.label, ]
  # The multivariate likelihood with a full rate matrix, of which phyl.pca takes the maximum.
  joint_fit <- optimize(
    phytools:::likMlambda, c(0, phytools:::maxLambda(tree)),
    X = joint, C = vcv(tree), maximum = TRUE, tol = 1e-10
  )
  list(
    newick = write.tree(tree, digits = 17),
    tree = tree_arrays(tree),
    tips = tree$tip.label,
    cophenetic = unname(cophenetic(tree)[tree$tip.label, tree$tip.label]),
    vcv = unname(vcv(tree)[tree$tip.label, tree$tip.label]),
    brownian = signal_of(tree, brownian[tree$tip.label]),
    weak = signal_of(tree, weak[tree$tip.label]),
    noise = signal_of(tree, noise[tree$tip.label]),
    joint = list(
      values = unname(joint), value = joint_fit$maximum,
      log_likelihood = as.numeric(joint_fit$objective)
    )
  )
}

write_golden(list(
  packages = c("ape", "phytools"),
  permutations = permutations,
  ultrametric = world_of(pbtree(n = 26)),
  uneven = world_of(rtree(22))
), target)
