"""What measures: evaluation, comparisons, error budgets, benches, the papers' experiments."""
