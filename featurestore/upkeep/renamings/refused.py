"""What keeps its name."""

#: Why some things keep their names, and what to do instead.
REFUSED = {
    "encoder": "an encoder's id is a hash of its name and all that can change a vector, and is in "
    "the fingerprint of every view of it; let its name stand for another version with: "
    "featurestore encoders promote, or encode again with an encoder of the new name",
    "generator": "a generator's id is a hash of its text source and all that can change a "
    "character, and is in the fingerprint of every view of its texts; let its text source stand "
    "for another version with: featurestore encoders promote",
    "model": "a model's id says its property and features and holds a hash of its view, and "
    "predictions, explanations and figures name it; choose it by its id, or promote it with: "
    "featurestore models promote",
    "features": "views and models name a version of a feature set; give its list another name "
    "beside the old one with: featurestore features define",
}
