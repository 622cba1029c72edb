//! One meter for each label of a closed set, found by the label's place and not by a lookup.

use std::fmt::{self, Debug};
use std::hash::Hash;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, LabelSetEncoder};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

/// The values of one label: a closed set.
pub trait Label: Copy + Debug + Eq + Hash + Send + Sync + 'static {
    /// The label's name.
    const KEY: &'static str;
    /// How many values there are.
    const COUNT: usize;

    /// Every value.
    fn all() -> Vec<Self>;

    /// Where in [`Self::all`] it stands.
    fn place(self) -> usize;

    /// How it is written.
    fn text(self) -> &'static str;
}

/// The labels that tell the meters of a family apart: a closed set too.
pub trait Labels: Copy + Debug + EncodeLabelSet + Eq + Hash + Send + Sync + 'static {
    /// Every one.
    fn all() -> Vec<Self>;

    /// Where in [`Self::all`] it stands.
    fn place(self) -> usize;
}

/// One label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Of<A>(pub A);

/// Two labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Both<A, B>(pub A, pub B);

impl<A: Label> EncodeLabelSet for Of<A> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        [(A::KEY, self.0.text())].encode(encoder)
    }
}

impl<A: Label, B: Label> EncodeLabelSet for Both<A, B> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        [(A::KEY, self.0.text()), (B::KEY, self.1.text())].encode(encoder)
    }
}

impl<A: Label> Labels for Of<A> {
    fn all() -> Vec<Self> {
        A::all().into_iter().map(Self).collect()
    }

    fn place(self) -> usize {
        self.0.place()
    }
}

impl<A: Label, B: Label> Labels for Both<A, B> {
    fn all() -> Vec<Self> {
        let beside = |one| B::all().into_iter().map(move |other| Self(one, other));
        A::all().into_iter().flat_map(beside).collect()
    }

    fn place(self) -> usize {
        self.0.place() * B::COUNT + self.1.place()
    }
}

/// A meter for each of the labels.
pub struct Each<L, M> {
    family: Family<L, M>,
    /// The same meters in the order of their labels.
    meters: Vec<M>,
    /// In the place of one that is missing, which a test shows none is.
    spare: M,
}

impl<L: Labels, M: Clone> Each<L, M> {
    /// A meter made by `make` for each label; all are shown from the start.
    pub fn new(make: fn() -> M) -> Self {
        let family = Family::new_with_constructor(make);
        let meters = L::all()
            .iter()
            .map(|labels| family.get_or_create_owned(labels))
            .collect();
        Self {
            family,
            meters,
            spare: make(),
        }
    }

    /// The meter of these labels.
    pub fn of(&self, labels: L) -> &M {
        self.meters.get(labels.place()).unwrap_or(&self.spare)
    }
}

impl<L: Labels, M: Clone + Default> Default for Each<L, M> {
    fn default() -> Self {
        Self::new(M::default)
    }
}

impl<L: Labels, M> Each<L, M>
where
    M: EncodeMetric + TypedMetric + Debug + Send + Sync + 'static,
{
    /// Shows them.
    pub fn show(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(name, help, self.family.clone());
    }

    /// Shows them in this unit, which ends their name.
    pub fn show_in(&self, registry: &mut Registry, name: &str, unit: Unit, help: &str) {
        registry.register_with_unit(name, help, unit, self.family.clone());
    }
}
