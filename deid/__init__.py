"""De-identification: text detection, transforms, privacy models, views and the release check; pure, no store."""
