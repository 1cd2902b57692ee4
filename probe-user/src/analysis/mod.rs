//! Pure statistics over the model; randomness comes in as a seeded generator.
