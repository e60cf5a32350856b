"""Golden models: what every number is. Integers and numpy only."""
