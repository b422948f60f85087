//! The links of the pages.

use std::path::Path;

use crate::pages::{Page, ROOT, all};

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut followed = 0;
    let mut broken = Vec::new();
    for page in all() {
        let folder = Path::new(&page.path).parent().unwrap().to_owned();
        for (line, link) in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let path = if file.is_empty() { page.path.clone().into() } else { folder.join(file) };
            let whole = Path::new(ROOT).join(&path);
            let there = whole.exists()
                && anchor.is_none_or(|anchor| {
                    Page::read(path.to_str().unwrap()).anchors().iter().any(|heading| heading == anchor)
                });
            if !there {
                broken.push(format!("{}:{line}: {link}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "these lead nowhere:\n{}", broken.join("\n"));
    assert!(followed > 30, "{followed}");
}
