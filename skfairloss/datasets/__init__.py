"""Data sets with two groups of images: one made up, one cut from photographs."""

from __future__ import annotations

from skfairloss.datasets._photo_patches import join_patches, load_photo_patches
from skfairloss.datasets._pixel_groups import make_pixel_groups

__all__ = ["join_patches", "load_photo_patches", "make_pixel_groups"]
