"""Tags: the rule language, the taxonomy and its evaluators. Pure, and given de-identified tables only."""
