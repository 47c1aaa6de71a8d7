"""A case that is strict about what its tests leave behind."""

from __future__ import annotations

import gc

from twisted.trial.unittest import TestCase


class CleanCase(TestCase):
    """Fails a test that ends with warnings or logged errors; trial itself fails one for a dirty reactor."""

    def setUp(self) -> None:
        """The cleanup that is added first is run last."""
        self.addCleanup(self._check)

    def _check(self) -> None:
        gc.collect()  # what was forgotten says so
        self.assertEqual(self.flushWarnings(), [])
        self.assertEqual(self.flushLoggedErrors(), [])
