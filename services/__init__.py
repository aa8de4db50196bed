"""The cooperating services of Gatepost; each sub-package is one process of the pipeline."""
