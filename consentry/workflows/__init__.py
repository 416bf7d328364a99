"""What the product does, one plain function a module; every step leaves its audit entry."""
