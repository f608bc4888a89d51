# Count and median score of each sample, sorted by its name.
paths <- commandArgs(trailingOnly = TRUE)
scores <- read.csv(paths[1])
summary <- aggregate(score ~ sample, scores, function(x) c(cells = length(x), median = median(x)))
summary <- data.frame(sample = summary$sample, summary$score)
write.csv(summary[order(summary$sample), ], paths[2], row.names = FALSE, quote = FALSE)
