//! Results for people and programs, made from the model and the analysis alone.
