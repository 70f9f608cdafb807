//! SET and SHOW: the parameters that psql and drivers use, each with the values that it can have.
//!
//! A value that would change nothing here is refused instead of taken in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millrace_sql::{PUBLIC_PATH, Reach, SearchPath, Setting, Settings, SqlError, UTC, Zone};

/// One parameter.
struct Definition {
    /// As PostgreSQL spells it.
    name: &'static str,
    /// What SHOW ALL says of it.
    about: &'static str,
    default: &'static str,
    /// Whether the client is told of its value (ParameterStatus).
    reported: bool,
    /// The value in its canonical form.
    accept: fn(&str) -> Result<String, Refusal>,
}

/// Why a value was not taken.
enum Refusal {
    /// Not a value of this parameter.
    Invalid,
    /// The same, with PostgreSQL's detail.
    Malformed(&'static str),
    /// A value in PostgreSQL, but we have only these.
    Only(&'static str),
    /// Cannot be changed at all.
    ReadOnly,
}

/// Where unqualified names are looked up unless something else was said.
const SEARCH_PATH: &str = "\"$user\", public";

/// What a server of PostgreSQL's wire names itself; drivers compare the number in front.
pub(crate) const SERVER_VERSION: &str = concat!("15.0 (Millrace ", env!("CARGO_PKG_VERSION"), ")");

const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "application_name",
        about: "What the client calls itself.",
        default: "",
        reported: true,
        accept: any,
    },
    Definition {
        name: "bytea_output",
        about: "How bytea is shown.",
        default: "hex",
        reported: false,
        accept: hex,
    },
    Definition {
        name: "client_encoding",
        about: "The encoding of text on the wire.",
        default: "UTF8",
        reported: true,
        accept: encoding,
    },
    Definition {
        name: "client_min_messages",
        about: "The least severe message that the client is sent.",
        default: "notice",
        reported: false,
        accept: level,
    },
    Definition {
        name: "DateStyle",
        about: "How dates are shown, and in which order they are read.",
        default: "ISO, MDY",
        reported: true,
        accept: date_style,
    },
    Definition {
        name: "default_transaction_deferrable",
        about: "Whether new transactions may wait for a moment that suits them. Every moment does here.",
        default: "off",
        reported: false,
        accept: on_or_off,
    },
    Definition {
        name: "default_transaction_isolation",
        about: "The isolation of new transactions.",
        default: "serializable",
        reported: false,
        accept: isolation,
    },
    Definition {
        name: "default_transaction_read_only",
        about: "Whether new transactions only read.",
        default: "off",
        reported: true,
        accept: on_or_off,
    },
    Definition {
        name: "extra_float_digits",
        about: "Digits of floating-point values beyond the standard ones.",
        default: "1",
        reported: false,
        accept: float_digits,
    },
    Definition {
        name: "in_hot_standby",
        about: "Whether the server only follows another.",
        default: "off",
        reported: true,
        accept: read_only,
    },
    Definition {
        name: "idle_in_transaction_session_timeout",
        about: "How long a transaction may idle; 0: for ever.",
        default: "0",
        reported: false,
        accept: only_zero,
    },
    Definition {
        name: "integer_datetimes",
        about: "Whether timestamps are integers on the wire.",
        default: "on",
        reported: true,
        accept: read_only,
    },
    Definition {
        name: "IntervalStyle",
        about: "How intervals are shown.",
        default: "postgres",
        reported: true,
        accept: interval_style,
    },
    Definition {
        name: "is_superuser",
        about: "Whether the user may do everything.",
        default: "on",
        reported: true,
        accept: read_only,
    },
    Definition {
        name: "lock_timeout",
        about: "How long a statement waits for a lock; 0: for ever.",
        default: "0",
        reported: false,
        accept: only_zero,
    },
    Definition {
        name: "max_identifier_length",
        about: "The longest name, in bytes.",
        default: "63",
        reported: false,
        accept: read_only,
    },
    Definition {
        name: "search_path",
        about: "Where unqualified names are looked up.",
        default: SEARCH_PATH,
        reported: false,
        accept: search_path,
    },
    Definition {
        name: "server_encoding",
        about: "The encoding of stored text.",
        default: "UTF8",
        reported: true,
        accept: read_only,
    },
    Definition {
        name: "server_version",
        about: "The server's version.",
        default: SERVER_VERSION,
        reported: true,
        accept: read_only,
    },
    Definition {
        name: "server_version_num",
        about: "The server's version as a number.",
        default: "150000",
        reported: false,
        accept: read_only,
    },
    Definition {
        name: "session_authorization",
        about: "The user of the session.",
        default: "",
        reported: true,
        accept: read_only,
    },
    Definition {
        name: "standard_conforming_strings",
        about: "Whether backslashes in strings stand for themselves.",
        default: "on",
        reported: true,
        accept: only_on,
    },
    Definition {
        name: "statement_timeout",
        about: "How long a statement may run; 0: for ever.",
        default: "0",
        reported: false,
        accept: timeout,
    },
    Definition {
        name: "synchronous_commit",
        about: "Whether a commit waits for the disk.",
        default: "on",
        reported: false,
        accept: only_on,
    },
    Definition {
        name: "TimeZone",
        about: "The time zone of the session.",
        default: "UTC",
        reported: true,
        accept: time_zone,
    },
    Definition {
        name: "transaction_deferrable",
        about: "Whether the transaction may wait for a moment that suits it. Every moment does here.",
        default: "off",
        reported: false,
        accept: on_or_off,
    },
    Definition {
        name: "transaction_isolation",
        about: "The isolation of the transaction.",
        default: "serializable",
        reported: false,
        accept: isolation,
    },
    Definition {
        name: "transaction_read_only",
        about: "Whether the transaction only reads.",
        default: "off",
        reported: false,
        accept: on_or_off,
    },
];

fn any(value: &str) -> Result<String, Refusal> {
    Ok(value.to_owned())
}

fn read_only(_: &str) -> Result<String, Refusal> {
    Err(Refusal::ReadOnly)
}

fn encoding(value: &str) -> Result<String, Refusal> {
    match value.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "utf8" | "unicode" => Ok("UTF8".to_owned()),
        _ => Err(Refusal::Only("UTF8")),
    }
}

fn level(value: &str) -> Result<String, Refusal> {
    let value = value.to_ascii_lowercase();
    match value.as_str() {
        "debug5" | "debug4" | "debug3" | "debug2" | "debug1" | "debug" | "log" | "notice" | "warning"
        | "error" => Ok(value),
        _ => Err(Refusal::Invalid),
    }
}

/// The order of day and month is remembered and shown; it never matters to ISO.
fn date_style(value: &str) -> Result<String, Refusal> {
    let mut order = "MDY";
    for word in value.split(',').map(|word| word.trim().to_ascii_lowercase()) {
        order = match word.as_str() {
            "iso" => order,
            "mdy" | "us" | "noneuropean" | "noneuro" => "MDY",
            "dmy" | "european" | "euro" => "DMY",
            "ymd" => "YMD",
            "sql" | "postgres" | "german" => return Err(Refusal::Only("ISO")),
            _ => return Err(Refusal::Invalid),
        };
    }
    Ok(format!("ISO, {order}"))
}

fn hex(value: &str) -> Result<String, Refusal> {
    match value.to_ascii_lowercase().as_str() {
        "hex" => Ok("hex".to_owned()),
        "escape" => Err(Refusal::Only("hex")),
        _ => Err(Refusal::Invalid),
    }
}

fn interval_style(value: &str) -> Result<String, Refusal> {
    match value.to_ascii_lowercase().as_str() {
        "postgres" => Ok("postgres".to_owned()),
        "postgres_verbose" | "sql_standard" | "iso_8601" => Err(Refusal::Only("postgres")),
        _ => Err(Refusal::Invalid),
    }
}

/// Transactions are serializable whatever weaker level is asked for, as PostgreSQL's rules allow.
fn isolation(value: &str) -> Result<String, Refusal> {
    match value.to_ascii_lowercase().as_str() {
        "serializable" | "repeatable read" | "read committed" | "read uncommitted" => {
            Ok("serializable".to_owned())
        }
        _ => Err(Refusal::Invalid),
    }
}

fn boolean(value: &str) -> Result<bool, Refusal> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "t" | "yes" | "y" | "1" => Ok(true),
        "off" | "false" | "f" | "no" | "n" | "0" => Ok(false),
        _ => Err(Refusal::Invalid),
    }
}

fn only_on(value: &str) -> Result<String, Refusal> {
    if boolean(value)? { Ok("on".to_owned()) } else { Err(Refusal::Only("on")) }
}

fn on_or_off(value: &str) -> Result<String, Refusal> {
    Ok(if boolean(value)? { "on" } else { "off" }.to_owned())
}

fn only_zero(value: &str) -> Result<String, Refusal> {
    if milliseconds(value)? == 0 { Ok("0".to_owned()) } else { Err(Refusal::Only("0")) }
}

fn float_digits(value: &str) -> Result<String, Refusal> {
    match value.trim().parse::<i32>() {
        // Below 1 PostgreSQL rounds; we always write the shortest exact form.
        Ok(1..=3) => Ok(value.trim().to_owned()),
        Ok(-15..=0) => Err(Refusal::Only("1, 2 and 3")),
        _ => Err(Refusal::Invalid),
    }
}

/// Any list of names: whether there are such schemas matters when something is looked up.
fn search_path(value: &str) -> Result<String, Refusal> {
    let is_list = SearchPath::of_setting(value, "").is_some();
    if is_list { Ok(value.to_owned()) } else { Err(Refusal::Malformed("List syntax is invalid.")) }
}

fn time_zone(value: &str) -> Result<String, Refusal> {
    match value {
        "default" | "local" => Ok("UTC".to_owned()),
        _ => Zone::of_setting(value).map(|zone| zone.name().to_owned()).ok_or(Refusal::Invalid),
    }
}

/// Milliseconds; with a unit (`us`, `ms`, `s`, `min`, `h`, `d`) as PostgreSQL reads them.
fn milliseconds(value: &str) -> Result<u64, Refusal> {
    let value = value.trim();
    let unit_start = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let number: u64 = value[..unit_start].parse().map_err(|_| Refusal::Invalid)?;
    let number = match value[unit_start..].trim() {
        "us" => Some(number.div_ceil(1000)),
        "" | "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "min" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "d" => number.checked_mul(86_400_000),
        _ => None,
    };
    number.filter(|number| *number <= i32::MAX as u64).ok_or(Refusal::Invalid)
}

/// In the largest unit that loses nothing, as SHOW shows it.
fn timeout(value: &str) -> Result<String, Refusal> {
    let number = milliseconds(value)?;
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")];
    Ok(match units.iter().find(|(unit, _)| number % unit == 0) {
        Some((unit, name)) if number > 0 => format!("{}{name}", number / unit),
        _ => "0".to_owned(),
    })
}

/// What the modes of a transaction are where it has none of its own.
const DEFAULT_MODES: &[&str] =
    &["default_transaction_deferrable", "default_transaction_isolation", "default_transaction_read_only"];

fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.name.eq_ignore_ascii_case(name))
}

fn unknown(name: &str) -> SqlError {
    SqlError::new("42704", format!("unrecognized configuration parameter \"{name}\""))
}

fn refused(definition: &Definition, value: &str, refusal: Refusal) -> SqlError {
    let invalid = || {
        SqlError::new("22023", format!("invalid value for parameter \"{}\": \"{value}\"", definition.name))
    };
    match refusal {
        Refusal::Invalid => invalid(),
        Refusal::Malformed(detail) => invalid().detail(detail),
        Refusal::Only(values) => invalid().hint(format!("Millrace supports only {values} here.")),
        Refusal::ReadOnly => {
            SqlError::new("55P02", format!("parameter \"{}\" cannot be changed", definition.name))
        }
    }
}

/// What SET LOCAL has changed, as it was before: absent where that is the default.
#[derive(Clone, Default)]
pub(super) struct Locals {
    before: BTreeMap<&'static str, Option<String>>,
}

impl Locals {
    /// SET LOCAL of a parameter that had its value in `before`.
    pub(super) fn remember(&mut self, name: &str, before: &Parameters) {
        if let Some(definition) = definition(name) {
            let value = || before.values.get(definition.name).cloned();
            self.before.entry(definition.name).or_insert_with(value);
        }
    }

    /// SET: it holds after the transaction, too.
    pub(super) fn forget(&mut self, name: &str) {
        match definition(name) {
            Some(definition) => drop(self.before.remove(definition.name)),
            None => self.before.retain(|name, _| name.starts_with("transaction_")),
        }
    }
}

/// Values of parameters that differ from the default, by PostgreSQL's spelling.
pub(super) type OwnValues = BTreeMap<&'static str, String>;

/// The parameters of a session.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    values: OwnValues,
    /// What the client has yet to be told.
    unreported: BTreeSet<&'static str>,
}

impl Parameters {
    pub(super) fn new(user: &str) -> Parameters {
        let unreported = DEFINITIONS.iter().filter(|definition| definition.reported);
        Parameters {
            values: BTreeMap::from([("session_authorization", user.to_owned())]),
            unreported: unreported.map(|definition| definition.name).collect(),
        }
    }

    /// Name and value for SHOW.
    ///
    /// # Errors
    /// 42704
    pub(super) fn get(&self, name: &str) -> Result<(&'static str, String), SqlError> {
        let definition = definition(name).ok_or_else(|| unknown(name))?;
        Ok((definition.name, self.value(definition).to_owned()))
    }

    /// The modes of a transaction are the session's default ones where it has none of its own.
    fn value(&self, definition: &Definition) -> &str {
        let own = self.values.get(definition.name);
        let mode = definition.name.strip_prefix("transaction_");
        let of_session = || {
            let name =
                DEFAULT_MODES.iter().copied().find(|name| name.strip_prefix("default_transaction_") == mode);
            name.filter(|_| mode.is_some()).and_then(|name| self.values.get(name))
        };
        own.or_else(of_session).map_or(definition.default, String::as_str)
    }

    /// What differs from the defaults.
    pub(super) fn own_values(&self) -> &OwnValues {
        &self.values
    }

    /// The modes that the transaction has of its own.
    pub(super) fn modes(&self) -> Vec<Setting> {
        let own = self.values.iter().filter(|(name, _)| name.starts_with("transaction_"));
        let mode = |(name, value): (&&str, &String)| Setting {
            name: (*name).to_owned(),
            value: Some(value.clone()),
            reach: Reach::Transaction,
        };
        own.map(mode).collect()
    }

    /// Name, value and description of each parameter, for SHOW ALL.
    pub(super) fn all(&self) -> Vec<[String; 3]> {
        let row = |definition: &Definition| {
            [definition.name, self.value(definition), definition.about].map(str::to_owned)
        };
        DEFINITIONS.iter().map(row).collect()
    }

    pub(super) fn show(&self, name: &str) -> Option<String> {
        self.get(name).ok().map(|(_, value)| value)
    }

    /// SET; `None` resets, of the name `all` everything.
    ///
    /// # Errors
    /// 42704; 22023 for a value that is not taken; 55P02 for what cannot be changed.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), SqlError> {
        if name == "all" && value.is_none() {
            let stays = |name: &str| name == "session_authorization" || name.starts_with("transaction_");
            let names: Vec<&str> = self.values.keys().copied().filter(|name| !stays(name)).collect();
            names.into_iter().for_each(|name| self.put(name, None));
            return Ok(());
        }
        let definition = definition(name).ok_or_else(|| unknown(name))?;
        let refused = |value: &str, refusal| refused(definition, value, refusal);
        let value = match value {
            Some(value) => Some((definition.accept)(value).map_err(|refusal| refused(value, refusal))?),
            None if matches!((definition.accept)(definition.default), Err(Refusal::ReadOnly)) => {
                return Err(refused("", Refusal::ReadOnly));
            }
            None => None,
        };
        // A mode of the transaction is kept even so: the session's own default may be another.
        let is_mode = definition.name.starts_with("transaction_");
        self.put(definition.name, value.filter(|value| is_mode || value != definition.default));
        Ok(())
    }

    /// The transaction has committed: what SET LOCAL changed is as before it.
    pub(super) fn end_locals(&mut self, locals: Locals) {
        locals.before.into_iter().for_each(|(name, value)| self.put(name, value));
    }

    fn put(&mut self, name: &'static str, value: Option<String>) {
        if self.values.get(name) == value.as_ref() {
            return;
        }
        match value {
            Some(value) => drop(self.values.insert(name, value)),
            None => drop(self.values.remove(name)),
        }
        if definition(name).is_some_and(|definition| definition.reported) {
            self.unreported.insert(name);
        }
    }

    /// Goes back to saved values; the client is told of what changes by that.
    pub(super) fn restore(&mut self, saved: Parameters) {
        for definition in DEFINITIONS {
            self.put(definition.name, saved.values.get(definition.name).cloned());
        }
    }

    pub(super) fn take_changed(&mut self) -> Vec<(String, String)> {
        let changed = std::mem::take(&mut self.unreported);
        changed.into_iter().filter_map(|name| Some((name.to_owned(), self.show(name)?))).collect()
    }

    pub(super) fn statement_timeout(&self) -> Option<Duration> {
        let value = self.show("statement_timeout")?;
        milliseconds(&value).ok().filter(|number| *number > 0).map(Duration::from_millis)
    }

    /// The time zone.
    pub(super) fn zone(&self) -> Zone {
        let name = self.show("TimeZone").unwrap_or_default();
        Zone::named(&name).unwrap_or_else(|| UTC.clone())
    }

    /// Where a user's unqualified names are looked up.
    pub(super) fn search_path(&self, user: &str) -> SearchPath {
        let value = self.values.get("search_path").map_or(SEARCH_PATH, String::as_str);
        SearchPath::of_setting(value, user).unwrap_or_else(|| PUBLIC_PATH.clone())
    }

    /// Whether the client wants messages of this severity (`NOTICE`, `WARNING`).
    pub(super) fn wants(&self, severity: &str) -> bool {
        match self.show("client_min_messages").as_deref() {
            Some("error") => false,
            Some("warning") => severity == "WARNING",
            _ => true,
        }
    }
}

impl Settings for Parameters {
    fn setting(&self, name: &str) -> Option<String> {
        self.show(name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parameters() -> Parameters {
        let mut parameters = Parameters::new("ada");
        parameters.take_changed();
        parameters
    }

    #[test]
    fn the_first_report_has_what_drivers_wait_for() {
        let reported: BTreeMap<String, String> = Parameters::new("ada").take_changed().into_iter().collect();
        let expected = [
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO, MDY"),
            ("integer_datetimes", "on"),
            ("server_version", SERVER_VERSION),
            ("session_authorization", "ada"),
            ("standard_conforming_strings", "on"),
            ("TimeZone", "UTC"),
        ];
        expected.iter().for_each(|(name, value)| assert_eq!(reported.get(*name).unwrap(), value));
    }

    #[test]
    fn every_default_is_a_value_that_is_accepted() {
        for definition in DEFINITIONS {
            match (definition.accept)(definition.default) {
                Ok(value) => assert_eq!(value, definition.default, "{}", definition.name),
                Err(Refusal::ReadOnly) => {}
                Err(_) => panic!("{} refuses its default", definition.name),
            }
        }
    }

    #[test]
    fn only_changes_are_reported_and_only_once() {
        let mut parameters = parameters();
        parameters.set("application_name", Some("psql")).unwrap();
        parameters.set("statement_timeout", Some("5s")).unwrap();
        assert_eq!(parameters.take_changed(), [("application_name".to_owned(), "psql".to_owned())]);
        parameters.set("application_name", Some("psql")).unwrap();
        assert_eq!(parameters.take_changed(), []);
    }

    #[test]
    fn all_parameters_are_shown_with_their_present_values() {
        let mut parameters = parameters();
        parameters.set("application_name", Some("psql")).unwrap();
        let all = parameters.all();
        assert_eq!(all.len(), DEFINITIONS.len());
        assert!(all.iter().any(|[name, value, _]| name == "application_name" && value == "psql"));
        assert!(all.iter().all(|[_, _, about]| about.ends_with('.')));
    }

    #[test]
    fn timeouts_have_units() {
        let cases = [
            ("5000", Some(5000), "5s"),
            ("90s", Some(90_000), "90s"),
            ("2min", Some(120_000), "2min"),
            ("0", None, "0"),
        ];
        for (given, milliseconds, shown) in cases {
            let mut parameters = parameters();
            parameters.set("statement_timeout", Some(given)).unwrap();
            assert_eq!(parameters.statement_timeout(), milliseconds.map(Duration::from_millis));
            assert_eq!(parameters.show("STATEMENT_TIMEOUT").unwrap(), shown);
        }
        assert_eq!(parameters().set("statement_timeout", Some("soon")).unwrap_err().sqlstate, "22023");
    }

    #[test]
    fn unknown_names_and_values_have_their_sqlstates() {
        let mut parameters = parameters();
        assert_eq!(parameters.set("nonsense", Some("1")).unwrap_err().sqlstate, "42704");
        assert_eq!(parameters.get("nonsense").unwrap_err().sqlstate, "42704");
        assert_eq!(parameters.set("timezone", Some("nowhere")).unwrap_err().sqlstate, "22023");
        parameters.set("timezone", Some("europe/berlin")).unwrap();
        assert_eq!(
            (parameters.zone().name(), parameters.show("TimeZone").unwrap().as_str()),
            ("Europe/Berlin", "Europe/Berlin")
        );
        assert_eq!(parameters.set("server_version", Some("16")).unwrap_err().sqlstate, "55P02");
    }

    #[test]
    fn a_transaction_has_the_modes_of_its_session_or_its_own() {
        let mut parameters = parameters();
        let read_only = |parameters: &Parameters| parameters.show("transaction_read_only").unwrap();
        parameters.set("default_transaction_read_only", Some("yes")).unwrap();
        assert_eq!((read_only(&parameters).as_str(), parameters.modes()), ("on", Vec::new()));
        let (mut locals, before) = (Locals::default(), parameters.clone());
        parameters.set("transaction_read_only", Some("off")).unwrap();
        locals.remember("transaction_read_only", &before);
        assert_eq!((read_only(&parameters).as_str(), parameters.modes().len()), ("off", 1));
        parameters.set("all", None).unwrap();
        assert_eq!(read_only(&parameters), "off");
        parameters.set("default_transaction_read_only", Some("on")).unwrap();
        parameters.end_locals(locals);
        assert_eq!(read_only(&parameters), "on");
    }

    #[test]
    fn what_a_block_set_goes_back() {
        let mut parameters = parameters();
        parameters.set("application_name", Some("before")).unwrap();
        let saved = parameters.clone();
        parameters.set("application_name", Some("inside")).unwrap();
        parameters.take_changed();
        parameters.restore(saved);
        assert_eq!(parameters.take_changed(), [("application_name".to_owned(), "before".to_owned())]);
    }
}
