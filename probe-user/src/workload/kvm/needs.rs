//! What VMs need from the host, checked before the first one starts.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use probe_core::{
    error::{Error, Result},
    model::scenario::Guests,
};

use crate::{kernel::arch::Architecture, workload::process_group};

const KVM: &str = "/dev/kvm";
const VHOST: &str = "/dev/vhost-net";

/// Size of the huge pages that guests may use, and where the kernel reports them.
const HUGE_PAGE_MIB: u32 = 2;
const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";

/// What a VM takes in addition to its own memory, in MiB: QEMU and the kernel's tables. (A VM of
/// 160 MiB had 192 MiB resident.)
pub(crate) const OVERHEAD_MIB: u64 = 64;

/// What guests boot.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) kernel: PathBuf,
    pub(super) initramfs: PathBuf,
}

/// Everything that the guests of `spec` need.
///
/// # Errors
/// The first thing that is missing, with its hint.
pub(super) fn check(spec: &Guests) -> Result<Image> {
    if !(1..=2).contains(&spec.vcpus) {
        let why = format!("{} virtual processors", spec.vcpus);
        return Err(Error::invalid("guests.vcpus", why, "Use 1 or 2"));
    }
    if !(1..=spec.vcpus).contains(&spec.queues) {
        let why = format!("{} pairs of queues for {} virtual processors", spec.queues, spec.vcpus);
        return Err(Error::invalid("guests.queues", why, "Use 1, or as many as guests.vcpus"));
    }
    let image = image(spec.image.as_deref())?;
    kvm()?;
    let meminfo = "/proc/meminfo";
    let text = fs::read_to_string(meminfo).map_err(|e| Error::file("read", meminfo, e))?;
    memory(spec, &text)?;
    if spec.huge_pages {
        huge_pages(spec, Pool::read()?)?;
    }
    qemu().map(|_| image)
}

fn image(folder: Option<&Path>) -> Result<Image> {
    let Some(folder) = folder else {
        return Err(Error::invalid(
            "guests.image",
            "kvm guests need an image to boot",
            "Use --install, which builds one, or name a folder that has one with --guest-image",
        ));
    };
    let image = Image { kernel: folder.join("kernel"), initramfs: folder.join("initramfs") };
    for file in [&image.kernel, &image.initramfs] {
        File::open(file).map_err(|e| {
            Error::file("open", file, e)
                .with_hint("`tracetoll run --install` without --guest-image builds one")
        })?;
    }
    Ok(image)
}

fn kvm() -> Result<()> {
    match File::options().read(true).write(true).open(KVM) {
        Ok(_) => Ok(()),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::ENXIO)) => {
            let modules = Architecture::current()?.kvm_modules;
            Err(Error::file("open", KVM, e).with_hint(format!(
                "Load the module, modprobe {modules}, and enable virtualization in the firmware"
            )))
        }
        Err(e) => Err(Error::file("open", KVM, e)),
    }
}

/// Opens a vhost device for QEMU, which would silently do without it if it could not open one
/// itself.
///
/// # Errors
/// The module or the privilege is missing.
pub(super) fn vhost() -> Result<File> {
    File::options().read(true).write(true).open(VHOST).map_err(|e| {
        let missing = e.kind() == io::ErrorKind::NotFound;
        let error = Error::file("open", VHOST, e);
        if missing { error.with_hint("Load the module: `modprobe vhost_net`") } else { error }
    })
}

fn memory(spec: &Guests, meminfo: &str) -> Result<()> {
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let available = available.and_then(|kib| kib.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let available = available
        .map(|kib| kib / 1024)
        .ok_or_else(|| Error::malformed("/proc/meminfo", "no MemAvailable"))?;
    // Reserved huge pages are not part of the available memory.
    let own = if spec.huge_pages { 0 } else { spec.memory_mib };
    let each = u64::from(own) + OVERHEAD_MIB;
    let needed = each.saturating_mul(spec.count as u64);
    if needed > available {
        let why = format!(
            "{} VMs need {needed} MiB ({each} each, {OVERHEAD_MIB} of it for QEMU), and \
             {available} MiB are available",
            spec.count
        );
        return Err(Error::unsupported(
            "memory for the guests",
            why,
            "Use fewer guests (guests.count), smaller ones (guests.memory_mib), or a larger \
             machine",
        ));
    }
    Ok(())
}

/// The host's huge pages (Documentation/admin-guide/mm/hugetlbpage.rst).
#[derive(Debug, Clone, Copy)]
struct Pool {
    /// `nr_hugepages`
    all: u64,
    /// `free_hugepages` minus those that are reserved, `resv_hugepages`.
    free: u64,
}

impl Pool {
    fn read() -> Result<Self> {
        let number = |name: &str| {
            let file = format!("{HUGE_PAGES}/{name}");
            let text = fs::read_to_string(&file).map_err(|e| {
                Error::file("read", &file, e).with_hint(
                    "This kernel has no such pages: leave --huge-pages (guests.huge_pages) out",
                )
            })?;
            text.trim().parse::<u64>().map_err(|_| Error::malformed(file, "it is not a number"))
        };
        let free = number("free_hugepages")?.saturating_sub(number("resv_hugepages")?);
        Ok(Self { all: number("nr_hugepages")?, free })
    }
}

fn huge_pages(spec: &Guests, pool: Pool) -> Result<()> {
    let each = u64::from(spec.memory_mib.div_ceil(HUGE_PAGE_MIB));
    let needed = each.saturating_mul(spec.count as u64);
    let Some(more) = needed.checked_sub(pool.free).filter(|more| *more > 0) else { return Ok(()) };
    let why = format!(
        "{} VMs of {} MiB need {needed} pages of {HUGE_PAGE_MIB} MiB, and {} are free",
        spec.count, spec.memory_mib, pool.free
    );
    let hint = format!(
        "Reserve more, `sysctl vm.nr_hugepages={}`, or leave --huge-pages (guests.huge_pages) out",
        pool.all.saturating_add(more)
    );
    Err(Error::unsupported("huge pages for the guests", why, hint))
}

/// QEMU's command, without arguments.
///
/// # Errors
/// It is not installed.
pub(super) fn qemu() -> Result<Command> {
    let machines = Architecture::current()?.machines;
    process_group::command(machines.qemu, machines.qemu_package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_for_all_guests_with_what_qemu_takes() {
        let meminfo = "MemTotal: 9 kB\nMemAvailable:    1024000 kB\n";
        let spec = |count| Guests { count, memory_mib: 136, ..Guests::default() };
        memory(&spec(5), meminfo).unwrap();
        let error = memory(&spec(6), meminfo).unwrap_err().to_string();
        assert!(error.contains("1200 MiB") && error.contains("1000 MiB"), "{error}");
        assert!(memory(&spec(1), "").is_err());
    }

    #[test]
    fn huge_pages_are_counted_in_whole_pages_and_take_no_other_memory() {
        let spec = Guests { count: 3, memory_mib: 97, huge_pages: true, ..Guests::default() };
        huge_pages(&spec, Pool { all: 147, free: 147 }).unwrap();
        let error = huge_pages(&spec, Pool { all: 200, free: 146 }).unwrap_err().to_string();
        assert!(error.contains("147 pages") && error.contains("vm.nr_hugepages=201"), "{error}");
        let meminfo = format!("MemAvailable: {} kB\n", 3 * OVERHEAD_MIB * 1024);
        memory(&spec, &meminfo).unwrap();
        memory(&Guests { huge_pages: false, ..spec }, &meminfo).unwrap_err();
    }

    #[test]
    fn numbers_of_processors_and_queues_are_checked_first() {
        let check = |vcpus, queues| check(&Guests { vcpus, queues, ..Guests::default() });
        for (vcpus, queues) in [(0, 1), (3, 1), (1, 2), (2, 3), (2, 0)] {
            let error = check(vcpus, queues).unwrap_err().to_string();
            assert!(error.starts_with("guests."), "{error}");
        }
        for (vcpus, queues) in [(1, 1), (2, 1), (2, 2)] {
            let error = check(vcpus, queues).unwrap_err().to_string();
            assert!(error.contains("--guest-image"), "{error}");
        }
    }

    #[test]
    fn a_folder_without_an_image_names_the_file_and_the_hint() {
        let folder = tempfile::tempdir().unwrap();
        let error = image(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("/kernel") && error.contains("--install"), "{error}");
    }
}
