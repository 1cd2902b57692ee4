//! clap structs, turned into plain configurations; no logic.
