//! Damage to files of a log that was closed: a torn tail is cut, rot is refused with path and offset.

use super::*;
use crate::log::frame::{ALIGNMENT, HEAD_BYTES, word};

/// A record's place in a segment.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    end: usize,
}

/// Where the records of a segment stand, read without the code under test.
fn places(content: &[u8]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut start = 4096;
    while start + HEAD_BYTES <= content.len() && content[start..start + 8] != [0; 8] {
        let end =
            start + HEAD_BYTES + (word(content, start + 16) as usize).next_multiple_of(ALIGNMENT as usize);
        places.push(Place { start, end });
        start = end;
    }
    places
}

/// The first record that is not what it was, and whether a later record's head still knows that it
/// was durable.
fn first_damage(content: &[u8], damaged: &[u8], places: &[Place]) -> Option<(usize, bool)> {
    let same = |start: usize, end: usize| damaged.get(start..end) == Some(&content[start..end]);
    let first = places.iter().position(|place| !same(place.start, place.end))?;
    let tick = word(content, places[first].start + 24);
    let knows = |place: &Place| {
        same(place.start, place.start + HEAD_BYTES) && word(content, place.start + 32) >= tick
    };
    Some((first, places[first..].iter().any(knows)))
}

fn newest(disk: &SimulatedDisk) -> PathBuf {
    disk.files()
        .into_iter()
        .map(|(path, _)| path)
        .rfind(|path| path.to_string_lossy().ends_with(".seg"))
        .unwrap()
}

/// A log that ends with a group of several records in a segment that also has older groups.
fn log_with_tail() -> (SimulatedDisk, Vec<Record>, usize) {
    let mut random = Seeded(21);
    let mut groups = groups(&mut random, 30);
    loop {
        let mut tick = groups.concat().last().unwrap().tick;
        groups.push(group(&mut random, &mut tick));
        let disk = disk_with(&groups);
        let last = groups.last().unwrap().len();
        if last >= 3 && places(&disk.content(&newest(&disk))).len() > last + 3 {
            return (disk, groups.concat(), last);
        }
    }
}

fn with_content(disk: &SimulatedDisk, path: &Path, content: Vec<u8>) -> SimulatedDisk {
    let damaged = disk.copy(7);
    damaged.put(path, content);
    damaged
}

#[test]
fn a_tail_torn_at_each_byte_leaves_the_records_before_it() {
    let (disk, records, _) = log_with_tail();
    let path = newest(&disk);
    let content = disk.content(&path);
    let last = *places(&content).last().unwrap();
    for length in last.start..=content.len() {
        let expected = if length < last.end { &records[..records.len() - 1] } else { &records[..] };
        let torn = with_content(&disk, &path, content[..length].to_vec());
        let (mut log, replayed) = open(&torn, 1).unwrap();
        assert_eq!(replayed, expected, "cut at {length}");
        // The log goes on behind the cut, and all of it is there again after a power cut.
        let more = Record { tick: 1_000_000, tables: vec![], catalog: vec![vec![1]] };
        log.append_group(std::slice::from_ref(&more)).unwrap();
        torn.cut_power();
        let (_, replayed) = open(&torn, 2).unwrap();
        assert_eq!(replayed, [expected, &[more]].concat());
    }
}

#[test]
fn rubbish_behind_the_last_record_is_cut() {
    let (disk, records, _) = log_with_tail();
    let path = newest(&disk);
    let content = disk.content(&path);
    let end = places(&content).last().unwrap().end;
    let mut random = Seeded(4);
    for _ in 0..50 {
        let mut rubbish = content[..end].to_vec();
        rubbish.extend(bytes(&mut random, 3_000));
        assert_eq!(open(&with_content(&disk, &path, rubbish), 1).unwrap().1, records);
    }
}

#[test]
fn a_zeroed_sector_is_cut_in_the_last_group_and_refused_before_it() {
    let (disk, records, last_group) = log_with_tail();
    let path = newest(&disk);
    let content = disk.content(&path);
    let places = places(&content);
    let first_of_group = places.len() - last_group;
    let (mut cut, mut refused) = (0, 0);
    for sector_bytes in [512, 4096] {
        for start in (4096..places.last().unwrap().end).step_by(sector_bytes) {
            let mut damaged = content.clone();
            let end = damaged.len().min(start + sector_bytes);
            damaged[start..end].fill(0);
            if damaged == content {
                continue;
            }
            let (first, known) = first_damage(&content, &damaged, &places).unwrap();
            let result = open(&with_content(&disk, &path, damaged), 1);
            assert!(first < first_of_group || !known, "nothing knows the last group durable");
            if known {
                let expected = places[first].start as u64;
                match result.map(|_| ()).unwrap_err() {
                    EngineError::Corrupt { path: named, offset, .. } => {
                        assert_eq!((named, offset), (path.display().to_string(), expected));
                    }
                    other => panic!("{other}"),
                }
                refused += 1;
            } else {
                let kept = records.len() - places.len() + first;
                assert_eq!(result.unwrap().1, records[..kept]);
                cut += 1;
            }
        }
    }
    assert!(cut > 0 && refused > 0, "{cut} cut, {refused} refused");
}

#[test]
fn a_flipped_bit_in_a_durable_record_is_refused_with_path_and_offset() {
    let (disk, records, last_group) = log_with_tail();
    let mut random = Seeded(77);
    let newest = newest(&disk);
    let segments: Vec<(PathBuf, Vec<u8>)> =
        disk.files().into_iter().filter(|(path, _)| path.to_string_lossy().ends_with(".seg")).collect();
    for _ in 0..1_500 {
        let (path, content) = &segments[random.below(segments.len() as u64) as usize];
        let mut places = places(content);
        if *path == newest {
            places.truncate(places.len() - last_group);
        }
        let bit = random.below(places.last().unwrap().end as u64 * 8) as usize;
        let mut damaged = content.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let expected = places.iter().find(|place| place.end > bit / 8).map_or(0, |place| place.start as u64);
        let expected = if bit / 8 < 4096 { 0 } else { expected };

        let damaged = with_content(&disk, path, damaged);
        let opened = Log::open(data(), Arc::new(damaged), SMALL, Box::new(Seeded(1)));
        let error = match opened {
            Err(error) => error,
            Ok((_, replay)) => {
                let (good, bad): (Vec<_>, Vec<_>) = replay.partition(Result::is_ok);
                let good: Vec<Record> = good.into_iter().map(Result::unwrap).collect();
                assert_eq!(good, records[..good.len()], "what comes before the damage is right");
                assert_eq!(bad.len(), 1, "the error is the last item");
                bad.into_iter().next().unwrap().unwrap_err()
            }
        };
        match error {
            EngineError::Corrupt { path: named, offset, .. } => {
                assert_eq!((named, offset), (path.display().to_string(), expected), "bit {bit}");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn any_damage_to_the_newest_segment_never_yields_wrong_records() {
    let (disk, records, _) = log_with_tail();
    let path = newest(&disk);
    let content = disk.content(&path);
    let places = places(&content);
    let mut random = Seeded(5);
    for _ in 0..1_500 {
        let mut damaged = content.clone();
        for _ in 0..1 + random.below(3) {
            let start = random.below(damaged.len() as u64) as usize;
            let noise = bytes(&mut random, 1 + 600);
            let end = damaged.len().min(start + noise.len());
            damaged[start..end].copy_from_slice(&noise[..end - start]);
        }
        if random.below(3) == 0 {
            damaged.truncate(random.below(damaged.len() as u64) as usize);
        }
        let damage = first_damage(&content, &damaged, &places);
        let header_damaged = damaged.get(..4096) != Some(&content[..4096]);
        match (damage, open(&with_content(&disk, &path, damaged), 1)) {
            (_, Err(_)) => assert!(header_damaged || damage.is_some_and(|(_, known)| known)),
            (None, Ok((_, replayed))) => assert_eq!(replayed, records),
            (Some((first, known)), Ok((_, replayed))) => {
                assert!(!known, "a record that is known durable was cut");
                assert_eq!(replayed, records[..records.len() - places.len() + first]);
            }
        }
    }
}

#[test]
fn what_a_restart_carried_over_is_known_durable() {
    let (disk, records, _) = log_with_tail();
    assert_eq!(open(&disk, 1).unwrap().1, records);
    let path = newest(&disk);
    let mut content = disk.content(&path);
    let last = *places(&content).last().unwrap();
    content[last.start + 50] ^= 1;
    let error = open(&with_content(&disk, &path, content), 1).map(|_| ()).unwrap_err();
    assert!(matches!(error, EngineError::Corrupt { offset, .. } if offset == last.start as u64), "{error}");
}
