//! OpenTelemetry's lists in one text: `key1=value1,key2=value2`, percent-encoded as W3C Baggage is.

/// The pairs of a list; what is wrong otherwise. Values may be secrets: they stay out of the message.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (index, item) in text.split(',').enumerate() {
        let number = index + 1;
        if item.trim().is_empty() {
            continue;
        }
        let (key, value) = item.split_once('=').ok_or_else(|| format!("entry {number} has no `=`"))?;
        let encoding = || format!("entry {number} is not percent-encoded UTF-8");
        let key = decode(key.trim()).ok_or_else(encoding)?;
        let value = decode(value.trim()).ok_or_else(encoding)?;
        if key.is_empty() {
            return Err(format!("entry {number} has no key"));
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let list = pairs("a=1, b = two%20words ,c=x=y%2Cz,,d=%C3%A9;p=1,").unwrap();
        let expected = [("a", "1"), ("b", "two words"), ("c", "x=y,z"), ("d", "é;p=1")];
        assert_eq!(list, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(pairs(""), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_value() {
        assert_eq!(pairs("a=1,secret"), Err("entry 2 has no `=`".into()));
        assert_eq!(pairs("=secret"), Err("entry 1 has no key".into()));
        for text in ["a=%zz", "a=%4", "a=%ff"] {
            assert_eq!(pairs(text), Err("entry 1 is not percent-encoded UTF-8".into()), "{text}");
        }
    }
}
