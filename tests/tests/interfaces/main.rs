//! What paysaga says about its interfaces is valid, true of the golden files, and what the documents in `docs` say.

mod documents;
mod events;
mod problems;
mod validity;
