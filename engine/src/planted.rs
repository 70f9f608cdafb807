//! Planted bugs: the oracle's proof that it can find something.
//!
//! Compiled in only with the feature `planted-bugs` (tests), and then off until a test turns one on.
//! Each stands for a class of defects that streaming engines are known for.

/// The defects that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// A filter lets retractions fall.
    DropRetraction = 1,
    /// Changes of a reduce come out one tick late.
    TickOffByOne,
    /// The filter above one path of a projection is ignored for rows of a snapshot.
    IgnoredFilter,
    /// NULL keys join with each other.
    NullJoinsNull,
    /// Error rows of an expression vanish.
    LostError,
    /// An import loses the last row of its snapshot.
    StaleImport,
    /// An exchange spreads rows without regard to their key.
    SkippedExchange,
    /// Integer sums wrap at 32 bits.
    OverflowWraps,
    /// A restored trace is ignored.
    SeedIgnored,
    /// Multiplicities above one count once in a sum.
    MultiplicityIgnored,
    /// The maximum does not go back when its row is deleted.
    MaxNeverFalls,
    /// A join forgets the matches of the right input's late changes.
    JoinOneSided,
    /// A group whose last row went stays.
    EmptyGroupStays,
    /// An average divides by all rows, NULLs included.
    AverageCountsNulls,
    /// A subscription loses the last change of a tick.
    SubscriptionLosesRow,
    /// An anti join does not give a row back when its last match goes.
    AntiForgetsFlipBack,
    /// A semi join takes the last change of a key for whether the key is present.
    PresenceByRows,
    /// A semi join lets left rows pass whose key is absent.
    SemiIgnoresAbsence,
    /// The window of a top-k is one row too long.
    TopKOneMore,
    /// A top-k counts the copies of a row once.
    TopKCopiesOnce,
    /// A top-k breaks ties from the wrong end.
    TopKTiesReversed,
    /// A repetition gives rows whose count is zero, once.
    RepeatIgnoresZero,
    /// Two arrangements of one input by different keys of the same types are taken for one.
    MemoMixesKeys,
    /// A value that is gone still counts in an aggregate with DISTINCT.
    DistinctNeverRetracted,
    /// A variance of a sample divides by all rows.
    VarianceDividesByAll,
    /// Joined texts ignore their ORDER BY.
    JoinedWithoutOrder,
    /// `bool_and` and `bool_or` remember what was true once.
    BooleanNeverRetracted,
    /// A join reads what the other side's trace holds already but has not shown: matches of one tick
    /// come twice.
    JoinReadsAhead,
    /// A join gives the matches of what lies before its as-of a tick too late.
    JoinMovesUpTooFar,
    /// An aggregate with DISTINCT counts a value again that an earlier tick has brought.
    DistinctForgetsHistory,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 30] = [
        Bug::DropRetraction,
        Bug::TickOffByOne,
        Bug::IgnoredFilter,
        Bug::NullJoinsNull,
        Bug::LostError,
        Bug::StaleImport,
        Bug::SkippedExchange,
        Bug::OverflowWraps,
        Bug::SeedIgnored,
        Bug::MultiplicityIgnored,
        Bug::MaxNeverFalls,
        Bug::JoinOneSided,
        Bug::EmptyGroupStays,
        Bug::AverageCountsNulls,
        Bug::SubscriptionLosesRow,
        Bug::AntiForgetsFlipBack,
        Bug::PresenceByRows,
        Bug::SemiIgnoresAbsence,
        Bug::TopKOneMore,
        Bug::TopKCopiesOnce,
        Bug::TopKTiesReversed,
        Bug::RepeatIgnoresZero,
        Bug::MemoMixesKeys,
        Bug::DistinctNeverRetracted,
        Bug::VarianceDividesByAll,
        Bug::JoinedWithoutOrder,
        Bug::BooleanNeverRetracted,
        Bug::JoinReadsAhead,
        Bug::JoinMovesUpTooFar,
        Bug::DistinctForgetsHistory,
    ];
}

#[cfg(feature = "planted-bugs")]
static ACTIVE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Turns one bug on, or all off. It holds for every engine of the process: such a test runs alone.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Option<Bug>) {
    ACTIVE.store(bug.map_or(0, |bug| bug as u8), std::sync::atomic::Ordering::SeqCst);
}

/// Whether this bug is on: a constant `false` in every build for users.
#[cfg(feature = "planted-bugs")]
#[inline]
pub(crate) fn is_on(bug: Bug) -> bool {
    ACTIVE.load(std::sync::atomic::Ordering::Relaxed) == bug as u8
}

/// Whether this bug is on: a constant `false` in every build for users.
#[cfg(not(feature = "planted-bugs"))]
#[inline]
pub(crate) fn is_on(_bug: Bug) -> bool {
    false
}
