"""Drivers that keep their layers in a thin pool, as Docker's devicemapper does."""
