"""Tests of host names, endpoint pairs, services, resolution and racing."""
