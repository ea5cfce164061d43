"""Tests of skfairloss."""
