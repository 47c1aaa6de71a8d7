"""Tests of protocols, factories and transports."""
