"""Who vouches for a bundle: Ed25519 signatures over its manifest, trusted keys, and no way back."""
