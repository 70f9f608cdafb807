//! Data folders: created, recognised, refused, locked. Parts of these run on the real disk.

use super::*;
use crate::log::simulated::SimulatedDisk;
use crate::log::{DataFolder, Disk, OsRandom, RealDisk};

fn missing(error: EngineError) -> String {
    match error {
        EngineError::Missing { path, .. } => path,
        other => panic!("{other}"),
    }
}

fn error_of(disk: &SimulatedDisk) -> EngineError {
    open(disk, 9).map(|_| ()).unwrap_err()
}

#[test]
fn each_missing_file_is_named() {
    let groups = groups(&mut Seeded(3), 30);
    let disk = disk_with(&groups);
    let files = disk.files();
    let segments =
        files.iter().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "seg")).count();
    assert!(segments > 3, "{segments} segments");
    for (gone, _) in &files {
        let damaged = SimulatedDisk::new(1);
        damaged.create_folder(data()).unwrap();
        damaged.create_folder(&data().join("log")).unwrap();
        files
            .iter()
            .filter(|(path, _)| path != gone)
            .for_each(|(path, content)| damaged.put(path, content.clone()));
        if gone.ends_with("millrace.folder") {
            let (_, records) = open(&damaged, 9).unwrap();
            assert_eq!(records, groups.concat(), "the marker is only a second safety");
            assert!(damaged.files().iter().any(|(path, _)| path == gone), "and comes back");
        } else {
            let before = damaged.files();
            assert_eq!(missing(error_of(&damaged)), gone.display().to_string());
            assert_eq!(damaged.files(), before, "nothing was changed");
        }
    }
}

#[test]
fn a_foreign_folder_is_refused_and_left_alone() {
    let disk = SimulatedDisk::new(1);
    disk.create_folder(data()).unwrap();
    disk.put(&data().join("holiday.jpg"), vec![1, 2, 3]);
    let before = disk.files();
    assert!(matches!(error_of(&disk), EngineError::ForeignFolder(path) if path == "/data"));
    assert_eq!(disk.files(), before);
}

#[test]
fn segments_without_head_and_marker_are_not_overwritten() {
    let disk = disk_with(&groups(&mut Seeded(3), 2));
    let segments: Vec<_> =
        disk.files().into_iter().filter(|(path, _)| path.to_string_lossy().ends_with(".seg")).collect();
    let stripped = SimulatedDisk::new(1);
    stripped.create_folder(data()).unwrap();
    stripped.create_folder(&data().join("log")).unwrap();
    segments.iter().for_each(|(path, content)| stripped.put(path, content.clone()));
    assert!(matches!(error_of(&stripped), EngineError::ForeignFolder(_)));
    assert_eq!(stripped.files(), segments);
}

#[test]
fn a_damaged_head_is_named() {
    let disk = disk_with(&groups(&mut Seeded(3), 2));
    let path = log_path("head");
    let mut content = disk.content(&path);
    content[17] ^= 4;
    disk.put(&path, content);
    assert!(
        matches!(error_of(&disk), EngineError::Corrupt { path: named, .. } if named == path.display().to_string())
    );
}

#[test]
fn an_old_head_is_refused_and_removes_nothing() {
    let groups = groups(&mut Seeded(3), 30);
    let old = disk_with(&groups[..1]).content(&log_path("head"));
    let disk = disk_with(&groups);
    disk.put(&log_path("head"), old);
    let before = disk.files();
    let error = error_of(&disk).to_string();
    assert!(error.contains("log/head is damaged") && error.contains("older than the log"), "{error}");
    assert_eq!(disk.files(), before);
}

#[test]
fn a_segment_under_anothers_name_is_refused() {
    let disk = disk_with(&groups(&mut Seeded(3), 30));
    let first = disk.content(&log_path("00000000000000000001.seg"));
    disk.put(&log_path("00000000000000000002.seg"), first);
    let error = error_of(&disk);
    assert!(error.to_string().contains("it is segment 1"), "{error}");
}

#[test]
fn restarts_without_commits_leave_no_files_behind() {
    let groups = groups(&mut Seeded(3), 2);
    let disk = disk_with(&groups);
    for seed in 0..20 {
        let (_, records) = open(&disk, seed).unwrap();
        assert_eq!(records, groups.concat());
        let files = disk.files().len();
        assert!(files <= 5, "{files} files");
    }
}

#[test]
fn ticks_must_ascend() {
    let disk = SimulatedDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    let record = |tick| Record { tick, tables: vec![], catalog: vec![vec![7]] };
    log.append_group(&[record(5), record(6)]).unwrap();
    for bad in [vec![record(6)], vec![record(0)], vec![record(8), record(8)]] {
        assert_eq!(log.append_group(&bad).unwrap_err().sqlstate, "XX000");
    }
    log.append_group(&[]).unwrap();
    log.append_group(&[record(7)]).unwrap();
    assert_eq!(log.last_tick(), 7);
    drop(log);
    let (log, records) = open(&disk, 2).unwrap();
    assert_eq!(log.last_tick(), 7);
    assert_eq!(records, [5, 6, 7].map(record));
}

#[test]
fn replay_ends_where_the_log_ended_when_it_was_opened() {
    let mut random = Seeded(5);
    let mut groups = groups(&mut random, 20);
    let late = groups.split_off(10);
    let disk = disk_with(&groups);
    let (mut log, replay) = Log::open(data(), Arc::new(disk), SMALL, Box::new(random)).unwrap();
    late.iter().for_each(|group| log.append_group(group).unwrap());
    assert_eq!(replay.collect::<Result<Vec<_>, _>>().unwrap(), groups.concat());
}

/// Opens a log on the real disk.
fn open_real(folder: &Path, config: LogConfig) -> (Log, Vec<Record>) {
    let (log, replay) = Log::open(folder, Arc::new(RealDisk), config, Box::new(OsRandom)).unwrap();
    (log, replay.collect::<Result<Vec<_>, _>>().unwrap())
}

#[test]
fn the_real_disk_keeps_records_of_any_size() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("deep/data");
    let mut random = Seeded(11);
    let mut groups = groups(&mut random, 40);
    let tick = groups.concat().last().unwrap().tick + 1;
    groups.push(vec![Record { tick, tables: vec![], catalog: vec![vec![42; 3 << 20], vec![]] }]);
    for (count, config) in [(10, SMALL), (30, LogConfig::default()), (groups.len(), SMALL)] {
        let (mut log, records) = open_real(&folder, config);
        let written = groups.iter().position(|group| group[0].tick > log.last_tick()).unwrap();
        assert_eq!(records, groups[..written].concat());
        groups[written..count].iter().for_each(|group| log.append_group(group).unwrap());
    }
    assert_eq!(open_real(&folder, LogConfig::default()).1, groups.concat());
}

#[test]
fn a_data_folder_has_one_owner() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("data");
    let owner = DataFolder::lock(&path).unwrap();
    assert!(matches!(DataFolder::lock(&path), Err(EngineError::Locked(_))));
    open_real(owner.path(), SMALL);
    assert!(matches!(DataFolder::lock(&path), Err(EngineError::Locked(_))));
    drop(owner);
    DataFolder::lock(&path).unwrap();
}

#[test]
fn locking_leaves_nothing_in_a_foreign_folder() {
    let temporary = tempfile::tempdir().unwrap();
    std::fs::write(temporary.path().join("thesis.tex"), "x").unwrap();
    assert!(matches!(DataFolder::lock(temporary.path()), Err(EngineError::ForeignFolder(_))));
    assert_eq!(RealDisk.list(temporary.path()).unwrap(), ["thesis.tex"]);
}
