"""Figures beside their yardsticks; ``python -m benchmarks`` measures, ``python -m benchmarks.page`` writes the page."""
