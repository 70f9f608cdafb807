//! The whole system from outside: the real binary, real clients, real kills.

#![allow(clippy::unwrap_used)]

mod alter; // ALTER TABLE while the table lives
mod bounds; // what comes behind each bound of the wire
mod catalogs; // psql's backslash commands, pg_catalog
mod cluster; // several processes, of which some are killed, stopped or cut off
mod clients; // what six clients do, step by step
mod commands;
mod crash; // kill -9 at every sync
mod folder; // damage, locks, wrong folders and flags
mod http; // rows over HTTP: forms, errors, kills, concurrency
mod http_client; // an HTTP client of other hands
mod http_influx;
mod http_limits; // who may ask, how long, how much
mod http_socket; // WebSockets
mod http_sql; // statements over HTTP
mod http_subscribe; // server-sent events
mod idle; // no work without a cause
mod indexes; // reads by key
mod page; // the blocks of a Markdown page
mod schemas; // schemas across restarts, sessions and drivers
mod sequences; // values that are given once
mod quickstart; // docs/quickstart.md, as a new user follows it
mod reference; // the examples under docs/reference
mod serialisable; // transactions that interleave are as good as one after the other
mod smoke; // the harness itself: psql, drivers, kill, restart, PostgreSQL
mod structure; // the shape of the code: crates, files, dependencies
mod subscription; // SUBSCRIBE and how it ends
mod suites; // TPC-H and Nexmark beside a real PostgreSQL
mod temporary;
mod transactions; // all or nothing, at one tick, while many write
mod views; // views in trouble, system relations
mod watch; // SUBSCRIBE through a driver
mod wire; // forms of values, portals, pipelines, COPY
