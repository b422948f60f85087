//! The project's pages of Markdown, as a reader finds them: headings, links, blocks of code.

#![allow(dead_code, reason = "each test uses what it needs of this")]

pub mod commands;

use std::path::{Path, PathBuf};

/// The repository's root.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its path from the root.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A block of code.
#[derive(Debug, Clone)]
pub struct Block {
    /// The page that it stands in.
    pub page: String,
    /// The line of its first line, from 1.
    pub line: usize,
    /// The language that the fence names; `indented` for a line that is indented instead.
    pub language: String,
    /// The text.
    pub text: String,
}

impl Block {
    /// Where it stands, for messages.
    pub fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }
}

/// A line of a page, and whether it stands in a fence, where it is the `Some` language.
struct Line<'a> {
    number: usize,
    text: &'a str,
    fence: Option<&'a str>,
    edge: bool,
}

impl Page {
    /// The page at that path from the root.
    pub fn read(path: &str) -> Self {
        let text =
            std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut fence = None;
        self.text.lines().enumerate().map(move |(index, text)| {
            let edge = text.trim_start().starts_with("```");
            if edge {
                let language = text.trim_start().trim_start_matches('`').trim();
                fence = if fence.is_some() { None } else { Some(language) };
            }
            Line { number: index + 1, text, fence, edge }
        })
    }

    /// Its text outside of fences, line by line with their numbers.
    pub fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().filter(|line| line.fence.is_none() && !line.edge).map(|line| (line.number, line.text))
    }

    /// Its blocks of code: each fence, and each indented line after a blank or another indented one.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let (mut free, mut open) = (true, false);
        for line in self.lines() {
            let block = |language: &str, text: &str, number| Block {
                page: self.path.clone(),
                line: number,
                language: language.to_owned(),
                text: text.to_owned(),
            };
            match line.fence {
                Some(language) if line.edge => {
                    blocks.push(block(language, "", line.number + 1));
                    open = true;
                }
                Some(_) if open => {
                    let text = &mut blocks.last_mut().unwrap().text;
                    text.push_str(line.text);
                    text.push('\n');
                }
                _ => {
                    open = false;
                    let indented = line.text.strip_prefix("    ").filter(|_| free && !line.edge);
                    blocks.extend(indented.map(|text| block("indented", text, line.number)));
                    free = indented.is_some() || line.text.trim().is_empty();
                }
            }
        }
        blocks
    }

    /// The anchors of its headings, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.prose().filter_map(|(_, line)| {
            let text = line.trim_start_matches('#');
            (text.len() < line.len() && text.starts_with(' ')).then(|| text.trim())
        });
        headings.map(anchor).collect()
    }

    /// Where its links and pictures lead, with the line of each.
    pub fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in self.prose() {
            let plain = without_code(line);
            for (start, _) in plain.match_indices("](") {
                let rest = &plain[start + 2..];
                let target = rest.split(')').next().unwrap_or_default();
                links.push((number, target.to_owned()));
            }
        }
        links
    }

    /// Its spans of code that stand in a line, with the line of each.
    pub fn code_spans(&self) -> Vec<(usize, String)> {
        let spans = |(number, line): (usize, &str)| {
            let inside = line.split('`').skip(1).step_by(2).map(move |span| (number, span.to_owned()));
            inside.collect::<Vec<_>>()
        };
        self.prose().flat_map(spans).collect()
    }
}

fn without_code(line: &str) -> String {
    // A link's text may be code; its target is not.
    line.split('`').enumerate().map(|(index, part)| if index % 2 == 0 { part } else { "" }).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|one| one.is_alphanumeric() || [' ', '-', '_'].contains(one));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn markdown_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
    let names =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|ext| ext == "md"));
    let path = |path: PathBuf| path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned();
    let mut paths: Vec<String> = names.map(path).collect();
    paths.sort();
    paths
}

/// What a user reads: the README and docs/.
pub fn for_users() -> Vec<Page> {
    let mut paths = vec!["README.md".to_owned()];
    paths.extend(markdown_in("docs"));
    paths.iter().map(|path| Page::read(path)).collect()
}

/// Every page that leads to others.
pub fn all() -> Vec<Page> {
    let paths = ["", "docs", "tests/peers"].into_iter().flat_map(markdown_in);
    paths.map(|path| Page::read(&path)).collect()
}
