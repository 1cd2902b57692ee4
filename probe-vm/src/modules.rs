//! Kernel modules for an initramfs: which files, in which order, unpacked.

use crate::newc::Cpio;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// A kernel's `/lib/modules/VERSION` with its dependency lists.
pub(crate) struct ModuleTree {
    dir: PathBuf,
    /// By module name: its file and all files it needs, as depmod lists them.
    modules: BTreeMap<String, (String, Vec<String>)>,
    builtin: BTreeSet<String>,
}

impl ModuleTree {
    /// Reads the lists that depmod made.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let modules = read_list(dir, "modules.dep")?
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(file, needs)| {
                let needs = needs.split_whitespace().map(str::to_owned).collect();
                (name(file), (file.to_owned(), needs))
            })
            .collect();
        let builtin = read_list(dir, "modules.builtin")?.lines().map(name).collect();
        Ok(Self { dir: dir.to_owned(), modules, builtin })
    }

    /// The files of these modules and of their dependencies. Built-in modules need none.
    pub(crate) fn closure<'a>(
        &self,
        wanted: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeSet<String>> {
        let mut files = BTreeSet::new();
        for module in wanted {
            match self.modules.get(module) {
                Some((file, needs)) => files.extend(needs.iter().chain([file]).cloned()),
                None if self.builtin.contains(module) => {}
                None => bail!("{} has no module {module}", self.dir.display()),
            }
        }
        Ok(files)
    }

    /// Whether the kernel has it, as a file or built in.
    pub(crate) fn has(&self, module: &str) -> bool {
        self.modules.contains_key(module) || self.builtin.contains(module)
    }

    /// Puts these files into an initramfs for kernel `version`, with the lists that modprobe uses.
    pub(crate) fn pack(
        &self,
        version: &str,
        files: &BTreeSet<String>,
        cpio: &mut Cpio,
    ) -> Result<()> {
        let dir = format!("lib/modules/{version}");
        cpio.file(&format!("{dir}/modules.dep"), self.dependencies(files).as_bytes())?;
        cpio.file(&format!("{dir}/modules.alias"), self.aliases(files)?.as_bytes())?;
        cpio.file(&format!("{dir}/modules.builtin"), self.builtin().as_bytes())?;
        for file in files {
            let (name, bytes) = self.read(file)?;
            cpio.file(&format!("{dir}/{name}"), &bytes)?;
        }
        Ok(())
    }

    /// `modules.builtin`: what modprobe may treat as loaded without a file.
    fn builtin(&self) -> String {
        self.builtin.iter().map(|name| format!("kernel/{name}.ko\n")).collect()
    }

    /// `modules.dep` for these files only, under their unpacked names.
    fn dependencies(&self, files: &BTreeSet<String>) -> String {
        let mut text = String::new();
        for (file, needs) in self.modules.values().filter(|(file, _)| files.contains(file)) {
            let needs: Vec<&str> = needs.iter().map(|need| unpacked(need)).collect();
            text.push_str(&format!("{}: {}\n", unpacked(file), needs.join(" ")));
        }
        text
    }

    /// `modules.alias` for these files only: the names by which the kernel itself requests modules.
    fn aliases(&self, files: &BTreeSet<String>) -> Result<String> {
        let names: BTreeSet<String> = files.iter().map(|file| name(file)).collect();
        let list = read_list(&self.dir, "modules.alias")?;
        let ours =
            |line: &&str| line.rsplit(' ').next().is_some_and(|module| names.contains(module));
        Ok(list.lines().filter(ours).flat_map(|line| [line, "\n"]).collect())
    }

    /// A module's ELF file, and its path below the tree once unpacked.
    fn read<'a>(&self, file: &'a str) -> Result<(&'a str, Vec<u8>)> {
        let path = self.dir.join(file);
        let mut bytes = Vec::new();
        let mut input = File::open(&path).with_context(|| path.display().to_string())?;
        match path.extension().and_then(|e| e.to_str()) {
            Some("ko") => input.read_to_end(&mut bytes),
            Some("xz") => lzma_rust2::XzReader::new(input, false).read_to_end(&mut bytes),
            _ => bail!("{}: only plain and xz-packed modules are supported", path.display()),
        }
        .with_context(|| format!("cannot unpack {}", path.display()))?;
        Ok((unpacked(file), bytes))
    }
}

fn read_list(dir: &Path, list: &str) -> Result<String> {
    let path = dir.join(list);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// A module's file name once unpacked.
fn unpacked(file: &str) -> &str {
    file.strip_suffix(".xz").unwrap_or(file)
}

/// The module's name in the kernel, which uses no dashes.
fn name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    base.split('.').next().unwrap_or(base).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(dir: &Path) -> ModuleTree {
        let dep = "kernel/net/tun.ko.xz:\nkernel/vhost/vhost.ko.xz: \
                   kernel/vhost/vhost-iotlb.ko.xz\nkernel/vhost/vhost_net.ko: \
                   kernel/net/tun.ko.xz kernel/vhost/vhost.ko.xz\n";
        fs::write(dir.join("modules.dep"), dep).unwrap();
        fs::write(dir.join("modules.builtin"), "kernel/drivers/virtio/virtio-pci.ko\n").unwrap();
        let alias = "alias devname:vhost-net vhost_net\nalias devname:net/tun tun\n";
        fs::write(dir.join("modules.alias"), alias).unwrap();
        ModuleTree::open(dir).unwrap()
    }

    #[test]
    fn a_closure_holds_what_is_needed_and_nothing_for_built_in_modules() {
        let dir = tempfile::tempdir().unwrap();
        let files = tree(dir.path()).closure(["vhost", "virtio_pci"]).unwrap();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        assert_eq!(files, ["kernel/vhost/vhost-iotlb.ko.xz", "kernel/vhost/vhost.ko.xz"]);
    }

    #[test]
    fn a_module_the_kernel_lacks_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = tree(dir.path()).closure(["no_such"]).unwrap_err();
        assert!(error.to_string().contains("no_such"), "{error}");
    }

    #[test]
    fn lists_are_cut_to_the_files_and_carry_unpacked_names() {
        let dir = tempfile::tempdir().unwrap();
        let tree = tree(dir.path());
        let files = tree.closure(["vhost"]).unwrap();
        assert_eq!(
            tree.dependencies(&files),
            "kernel/vhost/vhost.ko: kernel/vhost/vhost-iotlb.ko\n"
        );
        assert_eq!(tree.aliases(&files).unwrap(), "");
        let tun = tree.closure(["tun"]).unwrap();
        assert_eq!(tree.aliases(&tun).unwrap(), "alias devname:net/tun tun\n");
    }
}
