//! Pages made of hostile texts.
