package tools

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Amazon's DynamoDB Local 1.25.1, as the Amplify project ships it. Maven
// Central has it too, as 85 files of as many projects, without one hash over
// all of them, and it would ask for Maven beside Java; this is one archive with
// one hash. Its licence allows use, not distribution: it is never committed.
const (
	simulator          = "amplify-dynamodb-simulator"
	simulatorVersion   = "2.9.30"
	simulatorIntegrity = "sha512-xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
)

const dynamoDBLocal = "DynamoDB Local"

//go:embed dynamodb-local.xml
var dynamoDBServer []byte

var dynamoDBInstallation = installation{
	name: "dynamodb-local",
	pins: simulator + "@" + simulatorVersion + " " + simulatorIntegrity + "\n" + string(dynamoDBServer),
	fill: func(ctx context.Context, folder string) error {
		archive, err := pack(ctx, dynamoDBLocal, folder, simulator, simulatorVersion, simulatorIntegrity)
		if err != nil {
			return err
		}
		if err := unpack(archive, "package/emulator/", folder); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, "server.xml"), dynamoDBServer, 0o644)
	},
}

var dynamoDB = server{
	name: dynamoDBLocal,
	file: "dynamodb-local",
	prepare: func(ctx context.Context, home, port string) (*exec.Cmd, error) {
		// On some systems java is there only to say that there is no Java.
		if err := run(ctx, "", "java", "-version"); err != nil {
			return nil, &Missing{dynamoDBLocal, "java", "install a Java runtime, 17 or newer (Debian: openjdk-17-jre-headless)"}
		}
		folder, err := dynamoDBInstallation.install(ctx, home)
		if err != nil {
			return nil, err
		}
		cmd, err := command(ctx, "java",
			"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xms64m", "-Xmx512m", // quick to start, and small
			"-cp", "DynamoDBLocal.jar:DynamoDBLocal_lib/*",
			"org.eclipse.jetty.xml.XmlConfiguration", "port="+port, "server.xml")
		if err != nil {
			return nil, err
		}
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "DDB_LOCAL_TELEMETRY=0")
		return cmd, nil
	},
}

// unpack writes the files of a .tgz archive below prefix into folder.
func unpack(archive []byte, prefix, folder string) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name, inside := strings.CutPrefix(header.Name, prefix)
		if !inside || header.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		f, err := root.Create(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, files)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}
