//! What is generated for the package: manual pages and completions.

mod support;

use std::fs;
use std::process::Command;

use support::{VDSO, finish, scratch};
use test_support::{Lacking, skip};

const COMMANDS: [&str; 7] = ["run", "stat", "inspect", "dump", "doctor", "bench", "completions"];

#[test]
fn every_command_has_a_manual_page() {
    let folder = scratch();
    finish(Command::new(VDSO).arg("manual").arg(folder.path())).succeeded().quiet();
    let mut pages: Vec<String> = fs::read_dir(folder.path())
        .expect("a folder")
        .map(|page| page.expect("a page").file_name().to_string_lossy().into_owned())
        .collect();
    pages.sort();
    let mut expected = COMMANDS.map(|command| format!("vdso-{command}.1")).to_vec();
    expected.push("vdso.1".to_owned());
    expected.sort();
    assert_eq!(pages, expected);
    for page in pages {
        let text = fs::read_to_string(folder.path().join(&page)).expect("a page");
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"] {
            assert!(
                text.contains(&format!("\n.SH {section}\n"))
                    || text.contains(&format!("\n.SH \"{section}\"\n")),
                "no {section} in {page}"
            );
        }
    }
}

#[test]
fn the_pages_have_the_examples_and_exit_codes_of_help() {
    let folder = scratch();
    finish(Command::new(VDSO).arg("manual").arg(folder.path())).succeeded();
    for command in ["run", "stat", "inspect", "dump"] {
        let page = folder.path().join(format!("vdso-{command}.1"));
        // As roff writes hyphens and quotes.
        let page = fs::read_to_string(page).expect("a page").replace('\\', "").replace("*(Aq", "'");
        let help = finish(Command::new(VDSO).args([command, "--help"])).succeeded().stdout;
        let examples: Vec<&str> =
            help.lines().filter(|line| line.starts_with("  vdso ")).map(str::trim).collect();
        assert!(examples.len() >= 3, "{help}");
        for example in examples {
            assert!(page.contains(&example.replace('\\', "")), "no {example} in {page}");
        }
        for section in ["\n.SH EXAMPLES\n", "\n.SH \"EXIT STATUS\"\n"] {
            assert!(page.contains(section), "no {section:?} in {page}");
        }
    }
}

#[test]
fn a_program_is_shown_with_the_dashes_that_it_comes_after() {
    let folder = scratch();
    finish(Command::new(VDSO).arg("manual").arg(folder.path())).succeeded();
    let page = fs::read_to_string(folder.path().join("vdso-doctor.1")).expect("a page");
    let synopsis = page.split_once(".SH SYNOPSIS\n").expect("a synopsis").1;
    let synopsis = synopsis.lines().next().expect("a line").replace('\\', "");
    assert!(synopsis.contains("[fI-- COMMANDfR]"), "{synopsis}");
}

#[test]
fn man_shows_the_pages_without_a_complaint() {
    if Command::new("groff").arg("--version").output().is_err() {
        let name = "man_shows_the_pages_without_a_complaint";
        return skip(Lacking::Tool, name, "groff is not installed");
    }
    let folder = scratch();
    finish(Command::new(VDSO).arg("manual").arg(folder.path())).succeeded();
    for command in COMMANDS {
        let page = folder.path().join(format!("vdso-{command}.1"));
        let mut groff = Command::new("groff");
        let shown = finish(groff.args(["-man", "-ww", "-Tutf8"]).arg(page)).succeeded().quiet();
        assert!(shown.stdout.contains(command), "{shown:#?}");
    }
}

#[test]
fn every_shell_has_completions_that_know_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = finish(Command::new(VDSO).args(["completions", shell])).succeeded().quiet();
        for command in COMMANDS {
            assert!(script.stdout.contains(command), "no {command} for {shell}");
        }
        assert!(!script.stdout.contains("manual"), "a hidden command is shown by {shell}");
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let script = finish(Command::new(VDSO).args(["completions", "bash"])).succeeded().stdout;
    let complete = |words: &str, count: usize| {
        let text = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={count}\n\
             _vdso vdso \"${{COMP_WORDS[{count}]}}\" \"${{COMP_WORDS[{count}-1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        finish(Command::new("bash").args(["--norc", "-c", &text])).succeeded().quiet().stdout
    };
    assert_eq!(complete("vdso ins", 1), "inspect\n");
    assert_eq!(complete("vdso inspect --dis", 2), "--disassemble\n");
    assert!(complete("vdso dump --", 2).contains("--output\n"));
}

/// The commands of the package's README print what it says.
#[test]
fn the_readme_shows_what_is_printed() {
    let readme = include_str!("../README.md");
    let example = readme.split_once("```console\n").expect("an example").1;
    let example = example.split_once("```").expect("its end").0;
    for shown in example.split("$ vdso ").skip(1) {
        let (arguments, expected) = shown.split_once('\n').expect("a command in one line");
        let mut vdso = Command::new(VDSO);
        vdso.args(arguments.split(' ')).env("LC_ALL", "C").env("TZ", "UTC0");
        assert_eq!(finish(&mut vdso).succeeded().stdout, expected, "{arguments}");
    }
}
