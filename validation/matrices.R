# Tests of distance matrices by R's vegan, ecodist, phytools and energy, on data simulated here.
#
#   Rscript validation/matrices.R tests/golden/matrices.json
target <- commandArgs(trailingOnly = TRUE)[1]
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
source(file.path(here, "write_json.R"))
suppressPackageStartupMessages({
  library(vegan)
  library(ecodist)
  library(phytools)
  library(energy)
})

set.seed(20240229)
n <- 24
permutations <- 4999
shared <- matrix(rnorm(n * 2), n)
x <- cbind(shared, rnorm(n)) + 0.8 * matrix(rnorm(n * 3), n)
y <- shared + 0.9 * matrix(rnorm(n * 2), n)
z <- matrix(rnorm(n * 2), n) + 0.5 * shared
a <- dist(x)
b <- dist(y)
c <- dist(z)
# Whole numbers, so that most distances are tied.
tied <- dist(matrix(sample(0:2, n * 2, replace = TRUE), n))
groups <- rep(c("p", "q", "r"), c(6, 8, 10))

mantel_of <- function(first, second, method) {
  fit <- vegan::mantel(first, second, method = method, permutations = permutations)
  list(statistic = fit$statistic, p_value = fit$signif)
}
partial_of <- function(method) {
  fit <- mantel.partial(a, b, c, method = method, permutations = permutations)
  list(statistic = fit$statistic, p_value = fit$signif)
}
procrustes <- protest(x, y, permutations = permutations)
regression <- MRM(a ~ b + c, nperm = permutations + 1)
multi <- multi.mantel(a, list(b, c), nperm = permutations + 1)
anova <- adonis2(a ~ groups, permutations = permutations)

write_golden(list(
  packages = c("vegan", "ecodist", "phytools", "energy"),
  permutations = permutations,
  x = x, y = y, z = z, groups = groups,
  a = as.matrix(a), b = as.matrix(b), c = as.matrix(c), tied = as.matrix(tied),
  mantel = list(
    pearson = mantel_of(a, b, "pearson"),
    spearman = mantel_of(a, b, "spearman"),
    kendall = mantel_of(a, b, "kendall")
  ),
  mantel_tied = list(
    pearson = mantel_of(a, tied, "pearson"),
    spearman = mantel_of(a, tied, "spearman"),
    kendall = mantel_of(a, tied, "kendall")
  ),
  partial_mantel = list(pearson = partial_of("pearson"), spearman = partial_of("spearman")),
  protest = list(statistic = procrustes$t0, p_value = procrustes$signif),
  mrm = list(
    coefficients = unname(regression$coef[, 1]),
    p_values = unname(regression$coef[, "pval"]),
    r_squared = unname(regression$r.squared["R2"]),
    f_value = unname(regression$F.test["F"]),
    p_value = unname(regression$F.test["F.pval"])
  ),
  multi_mantel = list(
    coefficients = unname(multi$coefficients),
    t_values = unname(multi$tstatistic),
    p_values = unname(multi$probt),
    r_squared = multi$r.squared,
    f_value = unname(multi$fstatistic),
    p_value = unname(multi$probF)
  ),
  distance_correlation = list(statistic = dcor(a, b)),
  unbiased_distance_correlation = list(statistic = bcdcor(a, b)),
  permanova = list(
    statistic = anova$F[1], r_squared = anova$R2[1], p_value = anova$`Pr(>F)`[1]
  )
), target)
