# frozen_string_literal: true

module Faults
  # What a process has in memory, as Linux shows it in /proc.
  class Memory
    # Bytes.
    PAGE = 4096

    # A mapping: the range of addresses, the permissions (`rw-p`), the flags of smaps (`dd` is "do not dump"), and bytes
    # of it that are the process's own and not a file's.
    Region = Struct.new(:range, :permissions, :flags, :anonymous_size) do
      def dumped?
        !flags.include?("dd")
      end

      # Whether the process, or one that it was forked from, has written to it.
      def written?
        permissions.start_with?("r") && (anonymous_size.positive? || permissions == "rw-s")
      end
    end

    EMPTY_PAGE = ("\0" * PAGE).freeze
    private_constant :EMPTY_PAGE

    # @return [String] the bytes but for pages that nobody has written to, of which a core dump has many
    def self.without_empty_pages(bytes)
      (0...bytes.bytesize).step(PAGE).filter_map do |at|
        page = bytes.byteslice(at, PAGE)
        page unless page == EMPTY_PAGE
      end.join
    end

    # @param pid [Integer] of a process that may be traced, and does nothing meanwhile
    def initialize(pid)
      @pid = pid
    end

    # @return [Hash{Integer => String}] the pages that core dumps leave out and that have anything on them, by address
    def undumped_pages
      read(regions.reject(&:dumped?)).to_h.reject { |_, page| page == EMPTY_PAGE }
    end

    # @param except [Array<Integer>] addresses of pages that are left out
    # @return [String] all that was ever written
    def content(except: [])
      read(regions).filter_map { |address, page| page unless except.include?(address) }.join
    end

    private

    # Only what is there: to read a page that nobody has touched would make one, which core dumps have then.
    def read(regions)
      File.open("/proc/#{@pid}/pagemap", "rb") do |map|
        File.open("/proc/#{@pid}/mem", "rb") do |memory|
          regions.select(&:written?).flat_map { |region| present_pages(map, region) }
                 .map { |address| [address, memory.pread(PAGE, address)] }
        end
      end
    end

    # Bits of an entry of pagemap: the page is in memory, or in swap.
    PRESENT = 0b11 << 62
    private_constant :PRESENT

    def present_pages(map, region)
      entries = map.pread(region.range.size / PAGE * 8, region.range.begin / PAGE * 8).unpack("Q*")
      region.range.step(PAGE).zip(entries).filter_map { |address, entry| address if entry.anybits?(PRESENT) }
    end

    HEADER = /\A(?<first>\h+)-(?<last>\h+) (?<permissions>\S{4}) /
    private_constant :HEADER

    def regions
      File.foreach("/proc/#{@pid}/smaps").slice_before(HEADER).map do |lines|
        header = HEADER.match(lines.first)
        about = lines.drop(1).to_h { |line| line.split(":", 2) }
        range = header[:first].hex...header[:last].hex
        Region.new(range, header[:permissions], about.fetch("VmFlags").split, about.fetch("Anonymous").to_i)
      end
    end
  end
end
