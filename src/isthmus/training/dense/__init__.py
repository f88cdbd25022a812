"""Small dense networks trained by hand-written gradients, many models in one pass."""
