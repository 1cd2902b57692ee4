//! The numbers in the kernel's text files. Each function returns `None` for text of another form.

use crate::kernel::cputime::parse_thread;

/// A file that is one number.
pub fn number(text: &str) -> Option<u64> {
    text.trim_end().parse().ok()
}

/// `/proc/PID/task/TID/schedstat`: ns on a CPU.
pub fn run_time(text: &str) -> Option<u64> {
    parse_thread(text).ok().map(|spent| spent.run.0)
}

/// The same file: ns waiting for a CPU.
pub fn run_delay(text: &str) -> Option<u64> {
    parse_thread(text).ok().map(|spent| spent.delay.0)
}

/// `/proc/PID/task/TID/status`: switches because the thread slept, and because another ran.
pub fn switches(text: &str) -> Option<u64> {
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|count| count.trim().parse::<u64>().ok())
    };
    of("voluntary_ctxt_switches:")?.checked_add(of("nonvoluntary_ctxt_switches:")?)
}

/// `/proc/softirqs`, the receiving row: a number per CPU.
pub fn net_rx(text: &str) -> Option<u64> {
    softirqs(text, "NET_RX:")
}

/// See [`net_rx`], the sending row.
pub fn net_tx(text: &str) -> Option<u64> {
    softirqs(text, "NET_TX:")
}

fn softirqs(text: &str, name: &str) -> Option<u64> {
    let row = text.lines().find_map(|line| line.trim_start().strip_prefix(name))?;
    sum(row.split_ascii_whitespace().map(|count| count.parse().ok()))
}

/// `/proc/net/softnet_stat`: a line per CPU, in hexadecimal; the third field is `time_squeeze`.
pub fn squeezed(text: &str) -> Option<u64> {
    let of_line = |line: &str| u64::from_str_radix(line.split_ascii_whitespace().nth(2)?, 16).ok();
    sum(text.lines().map(of_line))
}

/// `/proc/pressure/cpu`: µs in which some task waited for a CPU.
pub fn pressure(text: &str) -> Option<u64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some.split_ascii_whitespace().find_map(|field| field.strip_prefix("total="));
    total?.parse().ok()
}

/// The sum over the CPUs; `None` without any, and if one of them has no number.
fn sum(counts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let mut all = None;
    for count in counts {
        all = Some(all.unwrap_or(0_u64).checked_add(count?)?);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    // Linux 6.12, two CPUs.
    const SOFTIRQS: &str = "                    CPU0       CPU1       \n          HI:          0          \
                            1\n      NET_TX:          3          4\n      NET_RX:        120        \
                            80\n         RCU:       9000       9001\n";
    const SOFTNET: &str = "00000f2a 00000000 00000002 00000000 00000000 00000000 00000000 00000000 \
                           00000000 00000000 00000000 00000000 00000000 00000000 00000000\n\
                           00000011 00000000 0000001f 00000000 00000000 00000000 00000000 00000000 \
                           00000000 00000000 00000000 00000000 00000001 00000000 00000000\n";
    const PRESSURE: &str = "some avg10=1.53 avg60=0.36 avg300=0.08 total=331284\n\
                            full avg10=0.00 avg60=0.00 avg300=0.00 total=17\n";
    const STATUS: &str = "Name:\tvhost-4012\nThreads:\t1\nCpus_allowed_list:\t0-1\n\
                          voluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n";

    #[test]
    fn each_number_is_that_of_its_name() {
        assert_eq!(number("18446744073709551615\n"), Some(u64::MAX));
        let slices = "771824 91342 12\n";
        assert_eq!((run_time(slices), run_delay(slices)), (Some(771_824), Some(91_342)));
        assert_eq!(switches(STATUS), Some(695));
        assert_eq!((net_rx(SOFTIRQS), net_tx(SOFTIRQS)), (Some(200), Some(7)));
        assert_eq!(squeezed(SOFTNET), Some(33));
        assert_eq!(pressure(PRESSURE), Some(331_284));
    }

    #[test]
    fn text_of_another_form_has_no_number() {
        for text in ["", "-1", "12 13", "18446744073709551616", "twelve"] {
            assert_eq!(number(text), None, "{text}");
        }
        for text in ["", "1 2", "1 2 3 4", "1 -2 3"] {
            assert_eq!((run_time(text), run_delay(text)), (None, None), "{text}");
        }
        assert_eq!(switches("voluntary_ctxt_switches:\t150\n"), None);
        let full = format!("voluntary_ctxt_switches: {}\nnonvoluntary_ctxt_switches: 1", u64::MAX);
        assert_eq!(switches(&full), None);
        assert_eq!(net_rx("      NET_RX:\n"), None);
        assert_eq!(net_rx(&SOFTIRQS.replace("120", "many")), None);
        assert_eq!(squeezed(""), None);
        assert_eq!(squeezed("00000f2a 00000000\n"), None);
        assert_eq!(pressure(&PRESSURE.replace("some", "none")), None);
        assert_eq!(pressure("some avg10=0.00\n"), None);
    }
}
