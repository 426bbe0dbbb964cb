"""Bars to features in the lake, by session and feature group."""
