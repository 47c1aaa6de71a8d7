"""Cases as another project's suite has them: ``trial.unittest``, run by ``trial``."""
