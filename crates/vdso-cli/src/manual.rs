//! The manual pages, one for the command and one for each of its subcommands, and the completion
//! scripts: made from the arguments themselves, so that they never say anything else than `--help`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::args::Args;
use crate::exit::Exit;
use crate::message::{self, printable_path};

/// What `man` shows at the top of each page.
const MANUAL: &str = "vdso";
/// How sections begin in the text that stands after the options in `--help`.
const EXAMPLES: &str = "Examples:\n";
const EXAMPLE: &str = "Example: ";
const EXIT_CODE: &str = "Exit code: ";

/// Writes a page for each command to `folder`.
pub fn write(folder: &Path) -> Result<Exit> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", printable_path(folder)))?;
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let all: Vec<&Command> = shown(&command).collect();
    for page in all.iter().copied().chain([&command]) {
        let name = page.get_display_name().unwrap_or(page.get_name());
        let path = folder.join(format!("{name}.1"));
        let text = render(page, &command).context("cannot make a manual page")?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", printable_path(path)))?;
    }
    Ok(Exit::Success)
}

/// Prints the completion script of a shell.
pub fn complete(shell: Shell) -> Result<Exit> {
    let whole = Args::command();
    // Without the hidden commands, which the generator does not leave out.
    let mut command = Command::new("vdso")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .args(whole.get_arguments())
        .subcommands(shown(&whole));
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "vdso", &mut script);
    message::stdout()?.write_all(&script).context(message::PRINT)?;
    Ok(Exit::Success)
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

fn render(page: &Command, whole: &Command) -> io::Result<Vec<u8>> {
    let version = whole.get_version().unwrap_or_default();
    let man = Man::new(page.clone()).source(format!("vdso {version}")).manual(MANUAL);
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    Man::new(with_dashes(page)).render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if page.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    let help = page.get_after_long_help().or(page.get_after_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    sections(&help).to_writer(&mut out)?;
    see_also(page, whole).to_writer(&mut out)?;
    Ok(out)
}

/// A program to run is shown with the two dashes that it comes after.
fn with_dashes(page: &Command) -> Command {
    page.clone().mut_args(|argument| match argument.is_last_set() {
        true => argument.value_name("-- COMMAND"),
        false => argument,
    })
}

/// The text after the options, by its paragraphs: what is neither an example nor about exit codes is a
/// note.
fn sections(help: &str) -> Roff {
    let mut roff = Roff::new();
    let paragraphs: Vec<&str> = help.trim().split("\n\n").filter(|p| !p.is_empty()).collect();
    let examples = paragraphs.iter().filter_map(|paragraph| {
        paragraph.strip_prefix(EXAMPLES).or(paragraph.strip_prefix(EXAMPLE))
    });
    for examples in examples {
        roff.control("SH", ["EXAMPLES"]);
        for line in examples.lines() {
            roff.control("PP", []).control("nf", []).text([roman(line.trim())]).control("fi", []);
        }
    }
    let is_note = |paragraph: &&&str| {
        [EXAMPLES, EXAMPLE, EXIT_CODE].iter().all(|start| !paragraph.starts_with(start))
    };
    for (index, note) in paragraphs.iter().filter(is_note).enumerate() {
        roff.control(if index == 0 { "SH" } else { "PP" }, (index == 0).then_some("NOTES"));
        roff.text([roman(note.replace('\n', " "))]);
    }
    for codes in paragraphs.iter().filter_map(|paragraph| paragraph.strip_prefix(EXIT_CODE)) {
        roff.control("SH", ["EXIT STATUS"]).text([roman(codes.replace('\n', " "))]);
    }
    roff
}

fn see_also(page: &Command, whole: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let name =
        |command: &Command| command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let others = [whole].into_iter().chain(shown(whole)).map(name);
    let mut words = Vec::new();
    for other in others.filter(|other| *other != name(page)) {
        words.extend([bold(other), roman("(1), ")]);
    }
    words.extend([bold("vdso"), roman("(7)")]);
    roff.text(words);
    roff
}
