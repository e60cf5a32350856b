"""Tests of exports: layers, images, manifests, engines."""
