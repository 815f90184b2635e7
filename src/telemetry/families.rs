//! The families of `/metrics` while they are registered: each is kept with its kind, what it means, and its labels.

use std::cell::RefCell;

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// A family, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// `gauge`, `counter` or `histogram`.
    pub kind: &'static str,
    /// What it means.
    pub help: String,
    /// Names of its labels, in order of name.
    pub labels: Vec<String>,
}

/// A registry that is being filled.
#[derive(Default)]
pub(super) struct Families {
    registry: Registry,
    list: RefCell<Vec<Family>>,
}

impl Families {
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.kept("gauge", IntGaugeVec::new(named(name, help), labels).expect("a constant, valid name"))
    }

    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.kept("gauge", IntGauge::with_opts(named(name, help)).expect("a constant, valid name"))
    }

    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.kept("counter", IntCounterVec::new(named(name, help), labels).expect("a constant, valid name"))
    }

    pub fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        let options = HistogramOpts::new(name, help).namespace("sarf").buckets(buckets.to_vec());
        self.kept("histogram", HistogramVec::new(options, labels).expect("a constant, valid name"))
    }

    /// The program's version, and the process's own figures.
    pub fn process(&self) {
        let info = self.gauges("build_info", "1, with the version of the program as a label.", &["version"]);
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        self.registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("registered once");
    }

    /// The registry, and its families in order of name.
    pub fn done(self) -> (Registry, Vec<Family>) {
        let mut list = self.list.into_inner();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        (self.registry, list)
    }

    fn kept<C: Collector + Clone + 'static>(&self, kind: &'static str, family: C) -> C {
        self.registry.register(Box::new(family.clone())).expect("each name is registered once");
        let described = family.desc().into_iter().map(|desc| {
            let mut labels = desc.variable_labels.clone();
            labels.sort();
            Family { name: desc.fq_name.clone(), kind, help: desc.help.clone(), labels }
        });
        self.list.borrow_mut().extend(described);
        family
    }
}

fn named(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("sarf")
}
