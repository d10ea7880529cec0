"""How fast and how sure, beside what people use today: `make bench` prints one table.

The rivals run in an environment of their own, as whole processes, on the same rows and the same
resamples. Where no package exists the published recipe is restated in `rivals/`. Whatever is
measured stands beside the quality it was measured at.
"""
