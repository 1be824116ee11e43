//! A search through every state that one saga can reach.
//!
//! The world of the model is an order, its payment, their outboxes, a broker that delivers in any order and any number
//! of times, and a provider whose calls can be lost before or after they took effect. The processes of both services
//! may crash at every step. The transitions are the services' own functions, not copies of them.
//!
//! The invariants are named in `docs/INVARIANTS.md`.

mod actions;
mod exhaustive;
mod faults;
mod invariants;
mod provider;
mod random;
mod world;
