//! A YAML file as a [`Node`]: lines kept, duplicate keys refused, environment variables put in.
//!
//! It builds on the parser's events rather than on a typed value, because OpenTelemetry gives a value its type after
//! the variables are put in, and quotes keep it text: both need the scalar as it was written.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::substitute::substitute;
use super::tree::{Data, Entry, Fault, Node, Origin, Place};

/// Far above any configuration, and low enough that aliases of aliases cannot fill the memory.
const MOST_NODES: usize = 50_000;
/// Deeper than any configuration, and shallow enough for the stack.
const MOST_DEPTH: usize = 64;

/// The tree of `text`; `file` names it in messages. A syntax error is one fault; other faults come all together.
pub(super) fn parse(text: &str, file: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Node, Vec<Fault>> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        file,
        lookup,
        anchors: HashMap::new(),
        path: String::new(),
        nodes: 0,
        faults: Vec::new(),
    };
    let tree = builder.document().map_err(|fault| vec![*fault])?;
    if builder.faults.is_empty() { Ok(tree) } else { Err(builder.faults) }
}

/// Boxed, because every event passes through a result of it.
type Fatal = Box<Fault>;

struct Builder<'a> {
    parser: Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>,
    file: &'a str,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    anchors: HashMap<usize, Node>,
    path: String,
    nodes: usize,
    faults: Vec<Fault>,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Node, Fatal> {
        let mut tree = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd | Event::StreamEnd => {}
                _ if tree.is_some() => {
                    return Err(self.fatal(&span, "a second document starts here", "one document a file"));
                }
                event => tree = Some(self.node(event, &span, 0)?),
            }
        }
        Ok(tree.unwrap_or(Node { origin: Origin::Line(1), data: Data::Null }))
    }

    /// The next event that means something: comments do not.
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Fatal> {
        loop {
            match self.parser.next_event() {
                None => return Ok(None),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(Some(event)),
                Some(Err(error)) => {
                    let (line, column) = (error.marker().line(), error.marker().col() + 1);
                    let place = Place { text: format!("{}: line {line}, column {column}", self.file), rank: (0, line) };
                    let problem = format!("not YAML: {}", error.info());
                    return Err(Box::new(Fault::new(place, problem, "correct the syntax there or just above")));
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Fatal> {
        self.nodes += 1;
        if depth > MOST_DEPTH || self.nodes > MOST_NODES {
            return Err(self.fatal(span, "too deep or too large for a configuration", "check its aliases"));
        }
        let origin = Origin::Line(span.start.line());
        let (anchor, data) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => (anchor, self.scalar(&text, style, tag.as_deref(), span)),
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), span);
                (anchor, self.sequence(depth)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), span);
                (anchor, self.mapping(depth)?)
            }
            _ => (0, Data::Null),
        };
        let node = Node { origin, data };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Data, Fatal> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            let length = self.path.len();
            self.path.push_str(&format!("[{}]", items.len()));
            let item = self.node(event, &span, depth + 1)?;
            self.path.truncate(length);
            items.push(item);
        }
        Ok(Data::Seq(items))
    }

    fn mapping(&mut self, depth: usize) -> Result<Data, Fatal> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some((event, span)) = self.next()? {
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(self.fatal(&span, "a key is a list, a mapping or an alias", "keys are plain words")),
            };
            let length = self.path.len();
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            if let Some(first) = entries.iter().find(|entry| entry.key == key)
                && let Origin::Line(line) = first.origin
            {
                let problem = format!("stands here a second time, after line {line}");
                self.faults.push(Fault::new(self.place(&span), problem, "keep one of them"));
            }
            let Some((event, value_span)) = self.next()? else { break };
            let value = self.node(event, &value_span, depth + 1)?;
            self.path.truncate(length);
            entries.push(Entry { key, origin: Origin::Line(span.start.line()), value });
        }
        Ok(Data::Map(entries))
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> Data {
        let as_text = self.check_tag(tag, span);
        let quoted = as_text || style != ScalarStyle::Plain;
        match substitute(text, self.lookup) {
            // A type is found after substitution: an undefined variable leaves nothing, which is null.
            Ok(text) if !quoted && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") => Data::Null,
            Ok(text) => Data::Scalar { text, quoted },
            Err(reference) => {
                let problem = format!("{reference:?} is not a reference to a variable");
                let help = "`${NAME}`, `${env:NAME}` or `${NAME:-default}`; `$$` is one `$`";
                self.faults.push(Fault::new(self.place(span), problem, help));
                Data::Null
            }
        }
    }

    fn alias(&mut self, id: usize, span: &Span) -> Result<Node, Fatal> {
        let Some(node) = self.anchors.get(&id).cloned() else {
            return Err(self.fatal(span, "an alias inside the value that it names", "name another value"));
        };
        self.nodes += size(&node);
        if self.nodes > MOST_NODES {
            return Err(self.fatal(span, "its aliases make it too large for a configuration", "use fewer"));
        }
        Ok(node)
    }

    /// Notes a tag that is not of YAML's core schema; true for `!!str`.
    fn check_tag(&mut self, tag: Option<&Tag>, span: &Span) -> bool {
        let Some(tag) = tag else { return false };
        let tag = tag.to_string();
        let core = tag.trim_start_matches("!!").trim_start_matches("tag:yaml.org,2002:").to_owned();
        if !["str", "int", "float", "bool", "null", "seq", "map", "!"].contains(&core.as_str()) {
            let problem = format!("the tag {tag:?} means nothing here");
            self.faults.push(Fault::new(self.place(span), problem, "leave it out"));
        }
        core == "str" || core == "!"
    }

    fn place(&self, span: &Span) -> Place {
        let line = span.start.line();
        let path = if self.path.is_empty() { String::new() } else { format!("{} ", self.path) };
        Place { text: format!("{}: {path}(line {line})", self.file), rank: (0, line) }
    }

    fn fatal(&self, span: &Span, problem: &str, help: &str) -> Fatal {
        Box::new(Fault::new(self.place(span), problem, help))
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.data {
        Data::Null | Data::Scalar { .. } => 0,
        Data::Seq(items) => items.iter().map(size).sum(),
        Data::Map(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        parse(text, "f", &|name| (name == "N").then(|| "5".to_owned())).unwrap()
    }

    fn faults(text: &str) -> Vec<String> {
        parse(text, "f", &|_| None).unwrap_err().into_iter().map(|fault| fault.error.to_string()).collect()
    }

    fn value<'a>(node: &'a Node, key: &str) -> &'a Node {
        let Data::Map(entries) = &node.data else { panic!("{node:?}") };
        &entries.iter().find(|entry| entry.key == key).unwrap().value
    }

    #[test]
    fn quotes_keep_a_substituted_value_text() {
        let tree = tree("a: ${N}\nb: \"${N}\"\nc: ${M}\nd: '${M}'\n${N}: e\n");
        assert_eq!(value(&tree, "a").data, Data::Scalar { text: "5".into(), quoted: false });
        assert_eq!(value(&tree, "b").data, Data::Scalar { text: "5".into(), quoted: true });
        assert_eq!(value(&tree, "c").data, Data::Null);
        assert_eq!(value(&tree, "d").data, Data::Scalar { text: String::new(), quoted: true });
        assert_eq!(value(&tree, "${N}").origin, Origin::Line(5));
    }

    #[test]
    fn aliases_stand_for_their_values() {
        let tree = tree("a: &x {k: 1}\nb: *x\n");
        assert_eq!(value(&tree, "a"), value(&tree, "b"));
    }

    #[test]
    fn aliases_of_aliases_are_bounded() {
        let mut text = String::from("a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n");
        for i in 1..9 {
            let before = format!("*a{}", i - 1);
            text.push_str(&format!("a{i}: &a{i} [{}]\n", vec![before; 9].join(", ")));
        }
        assert!(faults(&text)[0].contains("too large"), "{:?}", faults(&text));
    }

    #[test]
    fn depth_is_bounded() {
        let text = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(faults(&text).len(), 1);
    }

    #[test]
    fn duplicate_keys_second_documents_and_tags_are_faults() {
        assert_eq!(
            faults("a:\n  b: 1\n  b: 2\n"),
            ["f: a.b (line 3): stands here a second time, after line 2; keep one of them"]
        );
        assert!(faults("a: 1\n---\nb: 2\n")[0].contains("second document"));
        assert!(faults("a: !secret x\n")[0].contains("!secret"), "{:?}", faults("a: !secret x\n"));
    }

    #[test]
    fn a_syntax_error_is_one_fault_with_line_and_column() {
        let faults = faults("a: 1\nb: [1, 2\nc: }\n");
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("f: line 3, column "), "{faults:?}");
    }

    #[test]
    fn an_empty_file_is_null() {
        assert_eq!(tree("").data, Data::Null);
        assert_eq!(tree("# nothing\n").data, Data::Null);
    }
}
