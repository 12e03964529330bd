"""Why a material got its forecast: its text and structure with each part away, and what is near."""
