//! `Server`: what all sessions and listeners share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use millrace_engine::Engine;
use millrace_sql::Catalog;

use crate::coordinator::{Coordinator, Holds, Moment, Progress};
use crate::engines::Engines;
use crate::sequences::Reserves;
use crate::shares::Shares;
use crate::subscription::Hubs;

/// The running server, as its sessions see it.
pub struct Server {
    coordinator: Coordinator,
    holds: Arc<Holds>,
    progress: Arc<Progress>,
    engines: Engines,
    reserves: Reserves,
    shares: Shares,
    hubs: Hubs,
    connections: AtomicUsize,
    /// The sessions that there have been.
    sessions: AtomicU64,
    started: Instant,
}

impl Server {
    /// Of parts that run already.
    pub fn new(
        coordinator: Coordinator,
        holds: Arc<Holds>,
        progress: Arc<Progress>,
        engines: Engines,
    ) -> Server {
        let connections = AtomicUsize::new(0);
        Server {
            coordinator,
            holds,
            progress,
            engines,
            reserves: Reserves::default(),
            shares: Shares::default(),
            hubs: Hubs::default(),
            connections,
            sessions: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    /// Where commits go.
    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// Where readers get their ticks.
    pub fn holds(&self) -> &Arc<Holds> {
        &self.holds
    }

    /// How far each relation has come.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The workers' generations.
    pub fn engines(&self) -> &Engines {
        &self.engines
    }

    /// The workers of the newest generation, which may be lost.
    pub fn engine(&self) -> Engine {
        self.engines.newest()
    }

    /// Values of sequences at hand.
    pub fn reserves(&self) -> &Reserves {
        &self.reserves
    }

    /// What workers have answered just now.
    pub(crate) fn shares(&self) -> &Shares {
        &self.shares
    }

    /// The relations that are followed.
    pub(crate) fn hubs(&self) -> &Hubs {
        &self.hubs
    }

    /// The newest moment, held.
    pub fn newest(&self) -> Moment {
        self.holds.newest()
    }

    /// The newest catalog.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.holds.catalog()
    }

    /// When the server was ready.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Counts a client's connection for as long as the answer lives.
    pub fn connected(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected { server: self.clone() }
    }

    /// The number of a new session, from 1.
    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The clients that are connected.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// A client's connection, counted until this is dropped.
pub struct Connected {
    server: Arc<Server>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.server.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
