//! SIMILAR TO: SQL's own patterns, as those of `~`.

use millrace_engine::DataError;

/// A pattern of SIMILAR TO as a regular expression. Between two escaped double quotes stands the part that
/// `substring` gives.
///
/// # Errors
/// 22025 for an escape of several characters, 2200C for too many double quotes.
pub(crate) fn similar(pattern: &str, escape: &str) -> Result<String, DataError> {
    let mut chars = escape.chars();
    let escape = chars.next();
    if chars.next().is_some() {
        return Err(DataError::new("22025", "invalid escape string"));
    }
    let mut out = String::from("^(?:");
    let (mut after_escape, mut in_brackets, mut quotes) = (false, false, 0);
    for char in pattern.chars() {
        if after_escape {
            after_escape = false;
            if char == '"' && !in_brackets {
                out.push_str(separator(quotes)?);
                quotes += 1;
            } else {
                out.extend(['\\', char]);
            }
        } else if Some(char) == escape {
            after_escape = true;
        } else if in_brackets {
            out.extend((char == '\\').then_some('\\'));
            out.push(char);
            in_brackets = char != ']';
        } else {
            in_brackets = char == '[';
            match char {
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => out.extend(['\\', char]),
                other => out.push(other),
            }
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// What divides the three parts: the first is as short as it can be, the second captures.
fn separator(before: usize) -> Result<&'static str, DataError> {
    match before {
        0 => Ok("){1,1}?("),
        1 => Ok("){1,1}(?:"),
        _ => {
            let message =
                "SQL regular expression may not contain more than two escape-double-quote separators";
            Err(DataError::new("2200C", message))
        }
    }
}
